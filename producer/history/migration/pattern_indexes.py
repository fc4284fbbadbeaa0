"""Indexes for LIKE over columns whose type changes, in the migration script: a history makes them, the run does not.

Before the run the live database has them and after it has not, so a copy is asked for those that it has. What the live
database says is which of them become plain ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from psycopg.sql import Composable

from producer.history.migration.given_up import given_up_patterns
from producer.history.migration.partitioning import Named
from replank.plan.tables.table_plan import TablePlan
from replank.values.table_spec import Relation
from sql.catalogue import prisma
from sql.catalogue.catalogue import LiveTable
from sql.next_table.pattern_indexes import PatternIndex, pattern_indexes_over, pattern_of_keys
from sql.session.connection import Connection


def patterns_given_up(
    connection: Connection, planned: TablePlan, table: LiveTable, named: Named
) -> Iterator[Composable]:
    """The statement that takes those of one table away, the same before the run and after it."""
    columns = _converted(planned)
    gone = {index.name for index in _read(connection, table, columns) if index.goes}
    over = (
        index.name
        for index in prisma.read_live_indexes(connection, [table.oid])
        # Those with a condition or an expression come back by themselves, and so do all of a table that is made anew.
        if index.columns is not None and not index.partial and index.constraint_type is None
        if set(index.columns) & set(columns)
    )
    kept = () if planned.partition is not None else [name for name in over if name not in gone]
    yield from given_up_patterns(columns, named(table.schema, table.name), kept)


def gone_patterns(connection: Connection, planned: TablePlan, table: LiveTable) -> frozenset[str]:
    """Names of the indexes that the live database still has, and that nothing takes the place of."""
    return frozenset(index.name for index in _read(connection, table, _converted(planned)) if index.goes)


def without_patterns(planned: TablePlan, definition: str) -> str:
    """An index's definition as it is for columns that are texts no longer."""
    columns = _converted(planned)
    return re.sub(pattern_of_keys(columns), r"\1", definition) if columns else definition


def _converted(planned: TablePlan) -> list[str]:
    return [column.name for column in planned.columns if column.to != "uuid[]"]


def _read(connection: Connection, table: LiveTable, columns: Sequence[str]) -> list[PatternIndex]:
    relation = Relation(oid=table.oid, schema=table.schema, name=table.name)
    return pattern_indexes_over(connection, [relation], columns)
