"""Step 07 and a plan: its tables have the new names, the database has old or new ones.

What a name becomes is a rule over names alone (`MappingsPlan`), so each side finds the other, before the run and after
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from producer.history.changes.changes import (
    AddedColumn,
    AddedIndex,
    Change,
    KeyChanged,
    LostForeignKey,
    RenamedColumn,
    RenamedTable,
    SettledColumn,
    Table,
    ToEnum,
    ToUuid,
)
from replank.plan.steps.mappings_plan import MappingsPlan
from replank.plan.steps.steps_plan import StepsPlan
from replank.plan.tables.table_plan import TablePlan
from replank.plan.text.plan_words import split_name
from sql.catalogue.catalogue import LiveTable
from sql.scripts.compatibility_views import compatibility_views
from sql.session.connection import Connection

Names = Mapping[str, str]
"""Columns by the names of after step 07, as they are called at one place."""


def renames_done(connection: Connection, found: Iterable[Change]) -> list[Change]:
    """The renames that are known of: those of the file, and those that views under old names tell of."""
    known = list(found)
    tables = {one.table for one in known if isinstance(one, RenamedTable)}
    for view in compatibility_views(connection):
        table = (view.schema, view.name)
        if table not in tables:
            known += [RenamedColumn(table=table, column=old, to=new) for old, new in view.columns]
            known.append(RenamedTable(table=table, to=view.of_table))
    return known


def live_name(
    plan: MappingsPlan | None, live: Mapping[Table, LiveTable], planned: TablePlan
) -> tuple[LiveTable | None, Names]:
    """The table that the plan means, by whichever name it has now, and what its columns are called."""
    named = (planned.table_schema, planned.name)
    for table in live.values() if plan is not None and named not in live else ():
        if plan is not None and table.schema == named[0] and plan.table_to(table.schema, table.name) == named[1]:
            return table, {plan.column_to(table.schema, table.name, c.name): c.name for c in table.columns}
    found = live.get(named)
    if plan is None or found is None:
        return found, {}
    return found, {plan.column_to(*named, column.name): column.name for column in found.columns}


def steps_now(steps: StepsPlan, live: Mapping[Table, LiveTable]) -> StepsPlan:
    """Steps 01, 02 and 04 in the names of now: the plan has those of before step 07."""
    rule = steps.mappings
    if rule is None:
        return steps

    def table_now(name: str) -> Table:
        before = split_name(name)
        return before if before in live else (before[0], rule.table_to(*before))

    def column_now(name: str, column: str) -> str:
        there = live.get(table_now(name))
        return column if there is None or there.column(column) else rule.column_to(*split_name(name), column)

    fields, indexes = steps.uuid_fields, steps.indexes
    if fields is not None:
        tables, column = tuple(".".join(table_now(name)) for name in fields.tables), fields.column
        # Of a field that is not there yet nobody can say whether the table has its new name: its own does.
        renamed = all(table_now(name) != split_name(name) for name in fields.tables)
        column = column_now(fields.tables[0], column) if renamed else column
        fields = fields.model_copy(update={"tables": tables, "column": column})
    if indexes is not None:
        only = None if indexes.tables is None else tuple(".".join(table_now(name)) for name in indexes.tables)
        add = tuple(
            index.model_copy(
                update={
                    "table": ".".join(table_now(index.table)),
                    "columns": tuple(column_now(index.table, column) for column in index.columns),
                    "include": tuple(column_now(index.table, column) for column in index.include),
                }
            )
            for index in indexes.add
        )
        indexes = indexes.model_copy(update={"tables": only, "add": add})
    cache = steps.permission_cache
    if cache is not None:
        sources = (
            source.model_copy(
                update={
                    "table": ".".join(table_now(source.table)),
                    "user": None if source.user is None else column_now(source.table, source.user),
                }
            )
            for source in cache.sources
        )
        cache = cache.model_copy(update={"sources": tuple(sources)})
    return steps.model_copy(update={"uuid_fields": fields, "indexes": indexes, "permission_cache": cache})


def in_names(planned: TablePlan, table: str, names: Names) -> TablePlan:
    """The plan of a table with the names of one place."""
    partition = planned.partition
    if partition is not None and partition.column is not None:
        partition = partition.model_copy(update={"column": names.get(partition.column, partition.column)})
    made = {
        what: tuple(one.model_copy(update={"name": names.get(one.name, one.name)}) for one in getattr(planned, what))
        for what in ("columns", "add", "fill")
    }
    return planned.model_copy(update={**made, "name": table, "partition": partition})


def told(change: Change, table: Table, names: Names) -> Change:
    """A change of a table in other names; `names` maps columns as the change has them."""
    match change:
        case ToUuid() | AddedColumn() | SettledColumn() | ToEnum() | RenamedColumn():
            return replace(change, table=table, column=names.get(change.column, change.column))
        case KeyChanged() | AddedIndex() | LostForeignKey():
            return replace(change, table=table, columns=tuple(names.get(c, c) for c in change.columns))
    return change
