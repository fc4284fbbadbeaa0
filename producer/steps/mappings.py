"""Step 07: tables and columns get other names; views under the old ones serve clients that are not deployed yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from producer.steps.mapped_names import mentions
from replank.errors import WrongUse
from replank.names import LONGEST_NAME_BYTES, fits
from replank.plan.steps.mappings_plan import MappingsPlan
from replank.plan.steps.steps_plan import StepsPlan
from replank.plan.text.plan_words import split_name
from sql.catalogue.relations import NamedTable, read_relations
from sql.catalogue.renaming import Renamable, read_renamable, taken, trigger_functions
from sql.scripts import script_templates
from sql.scripts.compatibility_views import MARK
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Renamed:
    """A table that gets other names. `columns` are (old, new), those that stay are left out."""

    table: Renamable
    to: str
    columns: tuple[tuple[str, str], ...]
    view: bool

    @property
    def said(self) -> str:
        return self.table.full_name


def facts(connection: Connection, steps: StepsPlan) -> Mapping[str, Any] | None:
    """What the templates of step 07 need; None where every name is as it shall be.

    Raises WrongUse for names that cannot be had, and where a write would fail afterwards.
    """
    plan = steps.mappings
    assert plan is not None
    renamed = renamed_tables(connection, steps)
    mistakes = mistakes_of(connection, plan, renamed)
    if mistakes:
        raise WrongUse("steps.mappings: " + "; ".join(mistakes))
    if not renamed:
        return None
    blocks = list(_families(renamed))
    return {
        "mark": script_templates.text(MARK),
        "forward": [
            _block(block, f"{_said(block)}: rename to the new names{_and_view(block)}", _forward) for block in blocks
        ],
        "back": [_block(block, f"{_said(block)}: rename back to the old names", _back) for block in reversed(blocks)],
    }


def renamed_tables(connection: Connection, steps: StepsPlan) -> list[Renamed]:
    """Every table that gets another name, or a column of which does. Those that have theirs already are left out."""
    plan = steps.mappings
    if plan is None:
        return []
    relations = read_relations(connection)
    found: list[Renamed] = []
    for table in read_renamable(connection):
        if table.of_extension or table.full_name not in relations:
            continue
        columns = _columns(relations[table.full_name], steps)
        to = plan.table_to(table.schema, table.name)
        pairs = [(column, plan.column_to(table.schema, table.name, column)) for column in columns]
        changed = tuple((old, new) for old, new in pairs if old != new)
        if to != table.name or changed:
            view = plan.wants_view(table.schema, table.name)
            found.append(Renamed(table=table, to=to, columns=changed, view=view))
    return found


def _columns(table: NamedTable, steps: StepsPlan) -> list[str]:
    """Those that it has, and the one that step 01 adds before."""
    added = steps.uuid_fields
    coming = added is not None and table.full_name in {".".join(split_name(name)) for name in added.tables}
    missing = coming and added is not None and added.column not in table.columns
    return [*table.columns, *((added.column,) if missing and added is not None else ())]


def mistakes_of(connection: Connection, plan: MappingsPlan, renamed: Sequence[Renamed]) -> list[str]:
    """Everything that prevents the renaming, for the operator."""
    relations = read_relations(connection)
    return [
        *_unknown(plan, relations),
        *_clashes(connection, renamed),
        *(words for one in renamed for words in _clashing_columns(one, relations[one.said])),
        *(words for one in renamed for words in _unfit(connection, plan, one)),
        *_torn_families(renamed, read_renamable(connection), relations),
    ]


def _unknown(plan: MappingsPlan, relations: Mapping[str, NamedTable]) -> Iterator[str]:
    for name in (*(plan.tables or ()), *(one.table for one in plan.rename)):
        if ".".join(split_name(name)) not in relations:
            yield f"table {name} does not exist"
    for one in plan.rename:
        table = relations.get(".".join(split_name(one.table)))
        for column in one.columns if table is not None else ():
            if table is not None and column not in table.columns:
                yield f"table {one.table} has no column {column}"


def _clashes(connection: Connection, renamed: Sequence[Renamed]) -> Iterator[str]:
    """Two tables that would get one name, a name that is there, and a name that is too long."""
    wanted: dict[tuple[str, str], list[str]] = defaultdict(list)
    there: dict[str, set[str]] = {}
    for one in renamed:
        if one.to != one.table.name:
            wanted[one.table.schema, one.to].append(one.said)
            there.setdefault(one.table.schema, taken(connection, one.table.schema))
    for (schema, name), tables in wanted.items():
        if len(tables) > 1:
            yield f"{' and '.join(tables)} would both be {schema}.{name}; give one of them another name"
        elif name in there[schema]:
            yield f"{tables[0]} cannot be {schema}.{name}: this name is taken; give another name"
        yield from _too_long(tables[0], name)


def _too_long(what: str, name: str) -> Iterator[str]:
    if not fits(name):
        yield f"{what} would be {name}, which is longer than {LONGEST_NAME_BYTES} bytes; give a shorter name"


_OF_THE_SYSTEM = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})


def _clashing_columns(one: Renamed, table: NamedTable) -> Iterator[str]:
    new_names = dict(one.columns)
    every = {*table.columns, *new_names}
    after = Counter(new_names.get(column, column) for column in every)
    for name, count in after.items():
        if count > 1:
            olds = " and ".join(sorted(column for column in every if new_names.get(column, column) == name))
            yield f"columns {olds} of {one.said} would both be {name}; give one of them another name"
    for old, new in one.columns:
        yield from _too_long(f"column {old} of {one.said}", new)
        if new in _OF_THE_SYSTEM:
            yield f"column {old} of {one.said} cannot be {new}: this is the name of a system column"
        elif new in every and after[new] == 1:
            # Old and new names would depend on the order in which they are given.
            yield (
                f"column {old} of {one.said} cannot be {new}: another column has this name until it is renamed. "
                "Rename in two runs"
            )


def _unfit(connection: Connection, plan: MappingsPlan, one: Renamed) -> Iterator[str]:
    """What would fail for clients from the renaming on."""
    if one.to == one.table.name and one.view:
        yield (
            f"{one.said} keeps its name, so no view of this name can have the old column names; give the table another "
            "name, or say view = false (then all clients have to use the new names at once)"
        )
    if one.view and one.table.row_security and one.table.read_by_column:
        yield f"{one.said} has row-level security and column privileges: a view cannot have both; say view = false"
    if one.table.subscribed:
        yield f"{one.said} is the target of a subscription, which finds its tables by name; leave it out"
    columns = [old for old, _ in one.columns]
    for function in trigger_functions(connection, one.table.oid):
        named = mentions(function.text, columns)
        if named and not _is_reviewed(plan, function.full_name) and not function.schema.startswith("replank"):
            yield (
                f"trigger function {function.full_name} of {one.said} uses {', '.join(named)}: every write would fail "
                "in it. Change it to work with both names (to_jsonb(NEW) has either), then name it in reviewed"
            )


def _is_reviewed(plan: MappingsPlan, full_name: str) -> bool:
    return full_name in {".".join(split_name(name)) for name in plan.reviewed}


def _torn_families(
    renamed: Sequence[Renamed], everyone: Sequence[Renamable], relations: Mapping[str, NamedTable]
) -> Iterator[str]:
    """A column of a parent is renamed in its children too, so these must be called the same."""
    by_oid = {one.table.oid: one for one in renamed}
    for child in everyone:
        own = dict(by_oid[child.oid].columns) if child.oid in by_oid else {}
        for parent in (by_oid[oid] for oid in child.parents if oid in by_oid):
            torn = [old for old, new in parent.columns if own.get(old) != new]
            if torn:
                yield f"{child.full_name} inherits {', '.join(torn)} from {parent.said}: give them the same new names"
        for oid in child.parents:
            above = next((one for one in everyone if one.oid == oid), None)
            known = dict(by_oid[oid].columns) if oid in by_oid else {}
            inherited = set(relations[above.full_name].columns) if above is not None else set()
            for old in (old for old in own if old in inherited and old not in known):
                yield f"{child.full_name} inherits {old}: rename it in the parent table"


def _families(renamed: Sequence[Renamed]) -> Iterator[list[Renamed]]:
    """Tables that inherit from each other change in one transaction, parents first; all others each for itself."""
    left = {one.table.oid: one for one in renamed}
    while left:
        family = {next(iter(left))}
        while True:
            more = {oid for oid, one in left.items() if family & {oid, *one.table.parents}}
            more |= {parent for oid in more for parent in left[oid].table.parents if parent in left}
            if more <= family:
                break
            family |= more
        members = [left.pop(oid) for oid in [oid for oid in left if oid in family]]
        yield _parents_first(members)


def _parents_first(members: Sequence[Renamed]) -> list[Renamed]:
    placed: list[Renamed] = []
    waiting = list(members)
    while waiting:
        oids = {one.table.oid for one in waiting}
        ready = [one for one in waiting if not oids & set(one.table.parents)]
        placed += ready
        waiting = [one for one in waiting if one not in ready]
    return placed


def _said(block: Sequence[Renamed]) -> str:
    return ", ".join(one.said for one in block).replace("\n", " ")


def _and_view(block: Sequence[Renamed]) -> str:
    return ", and create a view under the old ones" if any(one.view for one in block) else ""


def _block(block: Sequence[Renamed], purpose: str, call: Any) -> Mapping[str, Any]:
    return {
        "said": script_templates.as_written(purpose),
        "calls": [script_templates.as_written(call(one)) for one in block],
    }


def _forward(one: Renamed) -> str:
    with_view = str(one.view and one.to != one.table.name).lower()
    return f"CALL replank_mapping.rename_table({_names(one)}, {with_view})"


def _back(one: Renamed) -> str:
    return f"CALL replank_mapping.restore_table({_names(one)})"


def _names(one: Renamed) -> str:
    """The arguments that both have."""
    table = (script_templates.text(name) for name in (one.table.schema, one.table.name, one.to))
    columns = (_column_names([pair[n] for pair in one.columns]) for n in (0, 1))
    return ", ".join([*table, *columns])


def _column_names(names: Collection[str]) -> str:
    return script_templates.text_array(names)
