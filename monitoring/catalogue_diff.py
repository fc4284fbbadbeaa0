"""Before against after: what a run changed in the catalogue, and which part of its plan explains it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from replank.table_spec import ColumnSpec, TableSpec
from sql.connection import Connection
from sql.ledger import tables
from sql.ledger.runs import Run
from sql.snapshot import CatalogueObject, kept_objects, read_objects, subjects

# What a definition says of types; without it two definitions are the same if only types changed.
_CASTS = re.compile(
    r"::(?:pg_catalog\.)?(?:text|uuid|character varying(?:\(\d+\))?|character\(\d+\)|bpchar)(?:\[\])?|[()]"
)
_OF_THE_TYPE = ("collation ", "storage ", "compression ", "default ")


@dataclass(frozen=True, kw_only=True)
class CatalogueChange:
    """An object that is new, gone (`after` is None) or another; `explained` is empty where no plan asked for it."""

    relation: str
    what: str
    name: str
    before: str | None
    after: str | None
    explained: str

    def to_json(self) -> dict[str, Any]:
        return {
            "object": " ".join(filter(None, (self.what, self.relation, self.name))),
            "before": self.before,
            "after": self.after,
            "explained": self.explained or None,
        }


def catalogue_changes(connection: Connection, run: Run) -> list[CatalogueChange]:
    """Every difference between the beginning of a run and now, over its relations and their views."""
    specs = [table.spec for table in tables.read_tables(connection, run.run_id)]
    before = {found.identity: found for found in kept_objects(connection, run.run_id)}
    names = {_split(relation) for relation, what, _ in before if what == "table"}
    after = {found.identity: found for found in read_objects(connection, names | subjects(connection, specs))}
    orphans = {
        (key["schema"], key["table_name"], key["name"]): int(key["orphans"])
        for one in tables.read_sets(connection, run.run_id)
        for key in one.foreign_keys
        if key.get("orphans")
    }
    return [
        _change(specs, before.get(identity), after.get(identity), orphans)
        for identity in sorted(before.keys() | after.keys())
        if before.get(identity) != after.get(identity)
    ]


def _split(relation: str) -> tuple[str, str]:
    """`schema` and name of a relation as `format('%I.%I')` writes it."""
    parts = re.findall(r'"((?:[^"]|"")+)"|([^.]+)', relation)
    schema, name = ((quoted.replace('""', '"') if quoted else plain) for quoted, plain in parts)
    return schema, name


def _change(
    specs: Sequence[TableSpec],
    before: CatalogueObject | None,
    after: CatalogueObject | None,
    orphans: Mapping[tuple[str, str, str], int],
) -> CatalogueChange:
    there = before or after
    assert there is not None
    was, became = (None if found is None else found.definition for found in (before, after))
    spec = next(
        (s for s in specs for r in (*s.relations, *s.next_relations) if (r.schema, r.name) == _split(there.relation)),
        None,
    )
    explained = _explain_orphans(there, was, became, orphans)
    if not explained and spec is None:
        explained = _explain_view(specs, there.what, was, became)
    elif not explained and spec is not None:
        explained = _explain(spec, there, was, became)
    return CatalogueChange(
        relation=there.relation, what=there.what, name=there.name, before=was, after=became, explained=explained
    )


def _explain_orphans(
    there: CatalogueObject, was: str | None, became: str | None, orphans: Mapping[tuple[str, str, str], int]
) -> str:
    """A valid foreign key comes back NOT VALID where the plan lets rows without a parent stay."""
    count = orphans.get((*_split(there.relation), there.name), 0)
    if not count or there.what != "constraint" or was is None or became is None or not became.endswith(" NOT VALID"):
        return ""
    return f"the plan lets {count:,} {'row' if count == 1 else 'rows'} without a parent stay"


def _explain(spec: TableSpec, there: CatalogueObject, was: str | None, became: str | None) -> str:
    """Which part of the plan of a table asks for a change; empty if none does."""
    if spec.layout is not None and there.what in ("table", "constraint", "index"):
        return "the plan partitions the table"
    if spec.layout is not None and _split(there.relation) != (spec.schema, spec.name):
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


def render_changes(changes: Sequence[CatalogueChange]) -> RenderableType:
    """The changes for people, what no plan explains first."""
    if not changes:
        return Text("The catalogue is as it was.")
    shown = Table(title="The catalogue before and after", show_lines=True)
    for heading in ("object", "before", "after", "explained"):
        shown.add_column(heading, overflow="fold")
    for change in sorted(changes, key=lambda change: bool(change.explained)):
        told = Text(change.explained) if change.explained else Text("by nothing in the plan", style="bold red")
        name = Text(" ".join(filter(None, (change.what, change.relation, change.name))))
        shown.add_row(name, Text(change.before or "(not there)"), Text(change.after or "(gone)"), told)
    return shown


def _without_types(definition: str, columns: Sequence[ColumnSpec] = ()) -> str:
    """Without casts; what is said of values of enums is said of the texts that they come from."""
    for column in (column for column in columns if column.enum):
        definition = definition.replace(f"::{column.next_type}", "")
        for text, label in reversed(column.words):
            definition = definition.replace(_literal(label), _literal(text))
    return _CASTS.sub("", definition)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
