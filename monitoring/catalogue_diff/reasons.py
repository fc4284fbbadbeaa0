"""Which part of a plan asks for a change of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from replank.values.table_spec import ColumnSpec, TableSpec
from sql.catalogue.catalogue_snapshot import CatalogueObject
from sql.next_table.pattern_indexes import pattern_of_keys

# What a definition says of types; without it two definitions are the same if only types changed.
_CASTS = re.compile(
    r"::(?:pg_catalog\.)?(?:text|uuid|character varying(?:\(\d+\))?|character\(\d+\)|bpchar)(?:\[\])?|[()]"
)
_OF_THE_TYPE = ("collation ", "storage ", "compression ", "default ")
# The keys of an index over columns alone; `rest` holds its predicate.
_KEYS = re.compile(r" USING \w+ \((?P<keys>[^()]*)\)(?P<rest>[^;]*)")
_KEYS_TO = re.compile(r" USING btree \((?P<keys>.*)$")
GIVES_UP_PATTERNS = "the plan gives up indexes for LIKE on columns that become {}"
PLAIN_NOW = "the plan makes a plain index of one for LIKE"


def split(relation: str) -> tuple[str, str]:
    """`schema` and name of a relation as `format('%I.%I')` writes it."""
    parts = re.findall(r'"((?:[^"]|"")+)"|([^.]+)', relation)
    schema, name = ((quoted.replace('""', '"') if quoted else plain) for quoted, plain in parts)
    return schema, name


def owner_of(specs: Sequence[TableSpec], relation: str) -> TableSpec | None:
    """The table of the run that a relation is, or is a partition of, before or after; None of a view."""
    named = split(relation)
    return next(
        (s for s in specs for r in (*s.relations, *s.next_relations) if (r.schema, r.name) == named),
        None,
    )


def explain(
    specs: Sequence[TableSpec],
    spec: TableSpec | None,
    there: CatalogueObject,
    was: str | None,
    became: str | None,
    present: Sequence[CatalogueObject],
) -> str:
    """The reason for a change of an object that is there, before or now; empty where the plan has none.

    `spec` is the table that it belongs to, None for a view's; `present` is all that is there now.
    """
    if spec is None:
        return _explain_view(specs, there.what, was, became)
    if there.what == "index" and was is not None and spec.plain_patterns and spec.layout is None:
        reason = _explain_pattern(spec, there, was, became, present)
        if reason:
            return reason
    return _explain(spec, there, was, became)


def _explain_pattern(
    spec: TableSpec, there: CatalogueObject, was: str, became: str | None, present: Sequence[CatalogueObject]
) -> str:
    """An index for text patterns that is gone because another one serves, or is a plain one now."""
    plain = _without_patterns(was, spec.columns)
    if plain == was:
        return ""
    if became is not None:
        return PLAIN_NOW if _without_types(plain) == _without_types(became, spec.columns) else ""
    indexes = [one.definition for one in present if one.relation == there.relation and one.what == "index"]
    if was.startswith("CREATE UNIQUE") or not any(_serves(one, plain) for one in indexes):
        return ""
    return GIVES_UP_PATTERNS.format(_become(spec.columns))


def _without_patterns(definition: str, columns: Sequence[ColumnSpec]) -> str:
    """The definition with the operator classes of the new types, where a converted column had one for patterns."""
    converted = [column.name for column in columns if column.converted]
    return re.sub(pattern_of_keys(converted), r"\1", definition) if converted else definition


def _serves(one: str, plain: str) -> bool:
    """Whether an index begins with the keys of another one and holds its rows."""
    index, other = _KEYS.search(plain), _KEYS_TO.search(one)
    if index is None or other is None:
        return False
    keys = index["keys"]
    begins = other["keys"].startswith((keys + ")", keys + ", "))
    _, _, condition = one.partition(" WHERE ")
    return begins and (not condition or condition.split("; ")[0] == index["rest"].partition(" WHERE ")[2])


def explain_orphans(
    there: CatalogueObject, was: str | None, became: str | None, orphans: Mapping[tuple[str, str, str], int]
) -> str:
    """A valid foreign key comes back NOT VALID where the plan lets rows without a parent stay."""
    count = orphans.get((*split(there.relation), there.name), 0)
    if not count or there.what != "constraint" or was is None or became is None or not became.endswith(" NOT VALID"):
        return ""
    return f"the plan lets {count:,} {'row' if count == 1 else 'rows'} without a parent stay"


def _explain(spec: TableSpec, there: CatalogueObject, was: str | None, became: str | None) -> str:
    """Which part of the plan of a table asks for a change; empty if none does."""
    if spec.layout is not None and there.what in ("table", "constraint", "index"):
        return "the plan partitions the table"
    if spec.layout is not None and split(there.relation) != (spec.schema, spec.name):
        return "a partition that the plan makes or takes away"
    columns: Mapping[str, ColumnSpec] = {column.name: column for column in spec.columns}
    column = columns.get(there.name) if there.what == "column" else None
    if column is not None:
        return _explain_column(column, was, became)
    if was is None and there.what in ("constraint", "index") and any(c.unique or c.not_null for c in spec.columns):
        return "the plan asks for a column that is unique or not null"
    if was is None and there.what == "trigger" and any(c.on_update for c in spec.columns):
        return "the plan asks for what every update puts there"
    if was is not None and became is not None and _without_types(was) == _without_types(became, spec.columns):
        return f"it names a column that becomes {_become(spec.columns)}"
    if there.what in ("constraint", "index") and was is not None:
        return _explain_check(spec, was, became)
    return ""


def _explain_check(spec: TableSpec, was: str, became: str | None) -> str:
    """A CHECK or predicate that lists texts of an enum lists their values; a CHECK that does not may go by consent."""
    conditional = was.startswith("CHECK") or " WHERE " in was
    for column in (c for c in spec.columns if c.enum and conditional and c.name in was):
        if became is None and column.drops_checks:
            return f"the plan gives up CHECKs over texts of {column.name}"
        words = dict(column.words)
        values = {words.get(text, text) for text in _literals(was)} & set(column.labels)
        if became is not None and _literals(became) == values:
            return f"it lists values of {column.next_type} instead of texts"
    return ""


def _literals(definition: str) -> set[str]:
    return {text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", definition)}


def _become(columns: Sequence[ColumnSpec]) -> str:
    """What the columns that are converted become: `uuid`, or types."""
    return ", ".join(dict.fromkeys(c.next_type.removesuffix("[]") for c in columns if c.converted)) or "uuid"


def _explain_column(column: ColumnSpec, was: str | None, became: str | None) -> str:
    if column.added and was is None:
        return "the plan adds it"
    if was is None or became is None:
        return ""
    if column.converted and became.startswith(column.next_type) and _same_but_type(was, became):
        return f"the plan makes it {column.next_type}"
    if (column.value or column.default or column.not_null) and _same_but_type(was, became):
        return "the plan fills it"
    return ""


def _same_but_type(was: str, became: str) -> bool:
    """Whether two columns differ only in what their type decides, and in default and NOT NULL."""

    def rest(definition: str) -> list[str]:
        parts = definition.split("; ")[1:]
        return [part for part in parts if part != "not null" and not part.startswith(_OF_THE_TYPE)]

    return rest(was) == rest(became)


def _explain_view(specs: Sequence[TableSpec], what: str, was: str | None, became: str | None) -> str:
    """A view changes where a column under it does."""
    if was is None or became is None or not any(column.converted for spec in specs for column in spec.columns):
        return ""
    columns = [column for spec in specs for column in spec.columns if column.converted]
    # A view may take arrays apart.
    types = [kind for kind in (c.next_type.removesuffix("[]") for c in columns) if became.startswith(kind)]
    if what == "column" and types and _same_but_type(was, became):
        return f"it follows a column that becomes {types[0]}"
    same = _without_types(was) == _without_types(became, columns)
    return f"it names a column that becomes {_become(columns)}" if same else ""


def _without_types(definition: str, columns: Sequence[ColumnSpec] = ()) -> str:
    """Without casts; what is said of values of enums is said of the texts that they come from."""
    for column in (column for column in columns if column.enum):
        definition = definition.replace(f"::{column.next_type}", "")
        for text, label in reversed(column.words):
            definition = definition.replace(_literal(label), _literal(text))
    return _CASTS.sub("", definition)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
