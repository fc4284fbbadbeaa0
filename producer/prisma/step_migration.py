"""The parts of the migration script that come of steps 01, 02 and 05, and of columns that become enums.

Tables for audit logs and cached permissions are left out: a schema file does not know them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from psycopg import sql

from producer.enum_types import EnumType, after_step
from producer.prisma.changes import AddedColumn, AddedIndex
from producer.prisma.relayout import Named
from producer.prisma.step_changes import step_changes
from producer.resolution import column_spec
from replank.plan import ColumnPlan, TablePlan
from replank.steps import STEPS
from replank.steps_plan import EnumPlan, StepsPlan
from replank.table_spec import ColumnSpec
from sql import prisma, scripts
from sql.catalogue import LiveTable
from sql.connection import Connection
from sql.conversion import converted
from sql.enum_checks import EnumCheck, enum_checks, index_of_values
from sql.next_table import server_text
from sql.relations import enum_labels

ENUM_STEP = STEPS[4].name
ANY_SERVER = 0
"""The script must run on any server, so it uses nothing that came with a version."""


def step_statements(
    connection: Connection, steps: StepsPlan, tables: Sequence[LiveTable], named: Named
) -> Iterator[sql.Composable]:
    """What the steps do, as plain statements without CONCURRENTLY; each may be done already."""
    if steps.enums:
        facts = [_enum_facts(connection, enum) for enum in steps.enums]
        for block in scripts.render(ENUM_STEP, {"enums": facts}):
            yield server_text(block.sql.rstrip(";"))
    for change in step_changes(connection, steps, tables):
        if isinstance(change, AddedColumn):
            yield sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {} NOT NULL DEFAULT {}").format(
                named(*change.table),
                sql.Identifier(change.column),
                server_text(change.type),
                server_text(change.default),
            )
            unique = AddedIndex(table=change.table, name=change.unique, columns=(change.column,), unique=True)
            yield _index(unique, named)
        elif isinstance(change, AddedIndex):
            yield _index(change, named)


def _index(index: AddedIndex, named: Named) -> sql.Composable:
    comma = sql.SQL(", ")
    include = sql.SQL(" INCLUDE ({})").format(comma.join(map(sql.Identifier, index.include)))
    return sql.SQL("CREATE {}INDEX IF NOT EXISTS {} ON {} ({}){}").format(
        sql.SQL("UNIQUE " if index.unique else ""),
        sql.Identifier(index.name),
        named(*index.table),
        comma.join(map(sql.Identifier, index.columns)),
        include if index.include else sql.SQL(""),
    )


def _enum_facts(connection: Connection, enum: EnumPlan) -> Mapping[str, object]:
    """For a database of which nobody knows whether it has the type: made, or renamed and completed."""
    full = scripts.name(enum.table_schema, enum.name)
    labels = after_step(enum_labels(connection, enum.table_schema, enum.name), enum)
    return {
        "said": scripts.as_written(f"{enum.table_schema}.{enum.name}".replace("\n", " ")),
        "name": full,
        "regtype": scripts.text(full),
        "is_ours": True,
        "labels": scripts.as_written(", ".join(map(scripts.text, labels))),
        "renames": [{"old": scripts.text(old), "new": scripts.text(new)} for old, new in enum.rename.items()],
        "added": [scripts.text(label) for label in enum.values if label not in enum.rename],
    }


def value_of(column: ColumnPlan, types: Mapping[str, EnumType]) -> sql.Composable:
    """A text as the value that the run makes of it. There is no quarantine offline: such a text stops the script."""
    assert column.type is not None
    spec = ColumnSpec(
        name=column.name,
        live_type="text",
        next_type=types[column.type].spelled,
        generated=False,
        hash_as_text=True,
        on_invalid=column.on_invalid,
        labels=types[column.type].labels,
        words=tuple(column.map.items()),
    )
    return converted(spec, sql.Identifier(column.name), ANY_SERVER)


def checks_of_values(
    connection: Connection, planned: TablePlan, table: LiveTable, types: Mapping[str, EnumType]
) -> list[EnumCheck]:
    """The CHECKs over columns that become enums, as they stand on the new table: before the run and after it."""
    specs, done = _enum_columns(planned, table, types)
    return [
        replace(check, becomes=server_text(check.definition)) if done & set(check.columns) else check
        for check in enum_checks(connection, table.oid, specs)
    ]


def indexes_of_values(
    connection: Connection, planned: TablePlan, table: LiveTable, types: Mapping[str, EnumType]
) -> dict[str, str]:
    """Name → definition with the new types, of indexes over a part of the rows: no cast makes of the condition of one
    what it has to be, so ALTER TYPE refuses them and they are made anew. None where no column becomes an enum.
    """
    specs, done = _enum_columns(planned, table, types)
    if not specs:
        return {}
    waiting = [spec for spec in specs if spec.name not in done]
    return {
        index.name: _of_values(index.definition, waiting)
        for index in prisma.read_live_indexes(connection, [table.oid])
        if index.partial and index.constraint_definition is None
    }


def _of_values(definition: str, columns: Sequence[ColumnSpec]) -> str:
    """The condition without the parentheses that the server writes around it; as it is where it is not understood."""
    bare = re.sub(r" WHERE \((.*)\)$", r" WHERE \1", definition)
    made = index_of_values(bare, columns)
    return definition if made == bare else made


def _enum_columns(
    planned: TablePlan, table: LiveTable, types: Mapping[str, EnumType]
) -> tuple[list[ColumnSpec], set[str]]:
    """The columns that become enums, and the names of those that are ones already."""
    specs: list[ColumnSpec] = []
    done: set[str] = set()
    for column in (column for column in planned.columns if column.type is not None):
        live = table.column(column.name)
        assert live is not None
        assert column.type is not None
        specs.append(column_spec(live, column, types))
        if live.type == types[column.type].spelled:
            done.add(column.name)
    return specs, done
