"""Indexes with a condition or over expressions, in the migration script: Prisma does not see them, its SQL has them.

PostgreSQL cannot give a column another type while such an index speaks of it: the texts in a condition would be
compared with values of an enum. So they go before and come back as the run makes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier

from producer.history.changes.changes import Table
from producer.history.migration.other_schemas import alter_table, where_it_is
from producer.history.migration.partitioning import Named
from producer.history.migration.pattern_indexes import gone_patterns, without_patterns
from producer.history.migration.steps import enum_specs
from producer.steps.enum_types import EnumType
from replank.errors import WrongUse
from replank.plan.steps.steps_plan import IndexesPlan, IndexPlan
from replank.plan.tables.table_plan import TablePlan
from replank.plan.text.plan_words import split_name
from replank.values.table_spec import ColumnSpec
from sql.catalogue import prisma
from sql.catalogue.catalogue import LiveTable
from sql.session.connection import Connection
from sql.session.table_names import server_text
from sql.values.enum_checks import index_of_values


@dataclass(frozen=True, kw_only=True)
class ConditionalIndex:
    """An index as it is after the run. `constraint` is the definition of the one that stands on it, if any.

    `in_the_way`: a column that it speaks of changes its type. `comes_back`: nothing else makes it again.
    """

    table: Table
    name: str
    definition: str
    constraint: str | None = None
    in_the_way: bool = True
    comes_back: bool = True

    def dropped(self, named: Named) -> Composable | None:
        if not self.in_the_way:
            return None
        if self.constraint is None:
            return SQL("DROP INDEX IF EXISTS {}").format(named(self.table[0], self.name))
        words = SQL("{} DROP CONSTRAINT IF EXISTS {}")
        return words.format(alter_table(self.table, named), Identifier(self.name))

    def made(self, named: Named) -> Composable | None:
        if not self.comes_back:
            return None
        if self.constraint is None:
            made = server_text(self.definition.replace(" INDEX ", " INDEX IF NOT EXISTS ", 1))
            return where_it_is(self.table, made, named)
        words = SQL("{} ADD CONSTRAINT {} {}")
        return words.format(alter_table(self.table, named), Identifier(self.name), server_text(self.constraint))


def conditional_indexes(
    connection: Connection,
    pairs: Sequence[tuple[TablePlan, LiveTable]],
    step: IndexesPlan | None,
    found: Mapping[Table, LiveTable],
    types: Mapping[str, EnumType],
    *,
    plain_patterns: bool = False,
) -> list[ConditionalIndex]:
    """Those that speak of columns which become something else, and those that step 02 builds with a condition.

    Before the run and after it alike. `plain_patterns`: those for LIKE over such columns are plain ones then.
    Raises WrongUse where the server does not understand a condition.
    """
    made: dict[tuple[str, str], ConditionalIndex] = {}
    # Definitions then name every schema, whichever the plan's expressions leave away.
    with prisma.every_schema_named(connection):
        for planned, table in pairs:
            gone = gone_patterns(connection, planned, table) if plain_patterns else ()
            for one in _in_the_way(connection, planned, table, types):
                if one.name in gone:
                    continue
                if plain_patterns:
                    one = replace(one, definition=without_patterns(planned, one.definition))
                made[one.table[0], one.name] = one
        planned_for = {(table.schema, table.name): planned for planned, table in pairs}
        for index in () if step is None else step.add:
            named = split_name(index.table)
            if index.where is None or named not in found or (named[0], index.name) in made:
                continue
            there = _of_step(connection, index, found[named], planned_for.get(named), types)
            made[named[0], index.name] = there
    return [made[key] for key in sorted(made)]


def _in_the_way(
    connection: Connection, planned: TablePlan, table: LiveTable, types: Mapping[str, EnumType]
) -> Iterator[ConditionalIndex]:
    specs = enum_specs(planned, table, types)
    columns = [column.name for column in planned.columns]
    for index in prisma.read_conditional_indexes(connection, table.oid, columns) if columns else ():
        yield ConditionalIndex(
            table=(table.schema, table.name),
            name=index.name,
            definition=_of_values(connection, index.definition, specs),
            constraint=index.constraint_definition,
            # A table that is made anew gets all indexes that the live one has.
            comes_back=planned.partition is None,
        )


def _of_step(
    connection: Connection,
    index: IndexPlan,
    table: LiveTable,
    planned: TablePlan | None,
    types: Mapping[str, EnumType],
) -> ConditionalIndex:
    there = (one.definition for one in prisma.read_live_indexes(connection, [table.oid]) if one.name == index.name)
    definition = next(there, None)
    specs = [] if planned is None else enum_specs(planned, table, types)
    if definition is None:
        definition = _of_values(connection, _settled(connection, index, table), specs)
    return ConditionalIndex(
        table=(table.schema, table.name),
        name=index.name,
        definition=definition,
        in_the_way=planned is not None and bool(planned.columns),
        comes_back=planned is None or planned.partition is None,
    )


def _settled(connection: Connection, index: IndexPlan, table: LiveTable) -> str:
    try:
        return prisma.normalized_index(
            connection,
            (table.schema, table.name),
            name=index.name,
            columns=index.columns,
            include=index.include,
            where=index.where or "",
            unique=index.unique,
        )
    except errors.OperationalError:
        raise
    except errors.DatabaseError as error:
        raise WrongUse(f"index {index.name} of the plan: {error.diag.message_primary}") from None


def _of_values(connection: Connection, definition: str, specs: Sequence[ColumnSpec]) -> str:
    """The definition with values in the place of texts, and its column quoted as the server would."""
    said = index_of_values(definition, specs)
    if said == definition:
        return definition
    column = re.search(r' WHERE ("(?:[^"]|"")+")', said)
    assert column is not None
    plain = prisma.as_server_quotes(connection, column.group(1)[1:-1].replace('""', '"'))
    return said[: column.start(1)] + plain + said[column.end(1) :]
