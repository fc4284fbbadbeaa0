"""The parts of the migration script that come of steps 01, 02 and 05, and of columns that become enums.

Tables for cached permissions are made in `cache_migration`; those of audit logs are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from psycopg.sql import SQL, Composable, Identifier

from producer.history.changes.changes import AddedColumn, AddedIndex
from producer.history.changes.step_changes import step_changes
from producer.history.migration.other_schemas import alter_table, where_it_is
from producer.history.migration.partitioning import Named
from producer.planning.table_specs import column_spec
from producer.steps.enum_types import EnumType, after_step
from replank.plan.steps.steps_plan import EnumPlan, StepsPlan
from replank.plan.tables.table_plan import ColumnPlan, TablePlan
from replank.values.steps import STEPS
from replank.values.table_spec import ColumnSpec
from sql.catalogue import prisma
from sql.catalogue.catalogue import LiveTable
from sql.catalogue.relations import enum_labels
from sql.scripts import script_templates
from sql.session.connection import Connection
from sql.session.table_names import server_text
from sql.values.conversion import converted
from sql.values.enum_checks import EnumCheck, enum_checks

ENUM_STEP = STEPS[4].name
ANY_SERVER = 0
"""The script must run on any server, so it uses nothing that came with a version."""


_CHECK = re.compile(r'CHECK \("((?:[^"]|"")+)"(.*)\)((?: NO INHERIT)?(?: NOT VALID)?)', re.DOTALL)


def step_statements(
    connection: Connection, steps: StepsPlan, tables: Sequence[LiveTable], named: Named
) -> Iterator[Composable]:
    """What the steps do, as plain statements without CONCURRENTLY; each may be done already."""
    if steps.enums:
        facts = [_enum_facts(connection, enum) for enum in steps.enums]
        for block in script_templates.render(ENUM_STEP, {"enums": facts}):
            yield server_text(block.sql.rstrip(";"))
    for change in step_changes(connection, steps, tables):
        if isinstance(change, AddedColumn):
            yield SQL("{} ADD COLUMN IF NOT EXISTS {} {} NOT NULL DEFAULT {}").format(
                alter_table(change.table, named),
                Identifier(change.column),
                server_text(change.type),
                server_text(change.default),
            )
            unique = AddedIndex(table=change.table, name=change.unique, columns=(change.column,), unique=True)
            yield where_it_is(change.table, _index(unique, named), named)
        elif isinstance(change, AddedIndex):
            yield where_it_is(change.table, _index(change, named), named)


def _index(index: AddedIndex, named: Named) -> Composable:
    comma = SQL(", ")
    include = SQL(" INCLUDE ({})").format(comma.join(map(Identifier, index.include)))
    return SQL("CREATE {}INDEX IF NOT EXISTS {} ON {} ({}){}").format(
        SQL("UNIQUE " if index.unique else ""),
        Identifier(index.name),
        named(*index.table),
        comma.join(map(Identifier, index.columns)),
        include if index.include else SQL(""),
    )


def _enum_facts(connection: Connection, enum: EnumPlan) -> Mapping[str, object]:
    """For a database of which nobody knows whether it has the type: made, or renamed and completed."""
    full = script_templates.name(enum.table_schema, enum.name)
    labels = after_step(enum_labels(connection, enum.table_schema, enum.name), enum)
    return {
        "said": script_templates.as_written(f"{enum.table_schema}.{enum.name}".replace("\n", " ")),
        "name": full,
        "regtype": script_templates.text(full),
        "is_ours": True,
        "labels": script_templates.as_written(", ".join(map(script_templates.text, labels))),
        "renames": [
            {"old": script_templates.text(old), "new": script_templates.text(new)} for old, new in enum.rename.items()
        ],
        "added": [script_templates.text(label) for label in enum.values if label not in enum.rename],
    }


def value_of(column: ColumnPlan, types: Mapping[str, EnumType]) -> Composable:
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
    return converted(spec, Identifier(column.name), ANY_SERVER)


def checks_of_values(
    connection: Connection, planned: TablePlan, table: LiveTable, types: Mapping[str, EnumType]
) -> list[EnumCheck]:
    """The CHECKs over columns that become enums, as they stand on the new table: before the run and after it."""
    specs = enum_specs(planned, table, types)
    live_types = {column.name: column.type for column in table.columns}
    done = {spec.name for spec in specs if live_types[spec.name] == spec.next_type}
    with prisma.every_schema_named(connection):
        found = enum_checks(connection, table.oid, specs)
    given_up = {column.name for column in planned.columns if "enum_checks" in column.consent}
    made: list[EnumCheck] = []
    for check in found:
        if done & set(check.columns):
            made.append(replace(check, becomes=server_text(check.definition)))
        elif check.becomes is not None or not set(check.columns) <= given_up:
            made.append(replace(check, becomes=_as_the_server_says(connection, check.becomes)))
    return made


def _as_the_server_says(connection: Connection, check: Composable | None) -> Composable | None:
    """The same text as after the run: a folder that holds it is then taken as it is."""
    said = None if check is None else _CHECK.fullmatch(check.as_string(None))
    if said is None:
        return check
    column = prisma.as_server_quotes(connection, said.group(1).replace('""', '"'))
    return server_text(f"CHECK (({column}{said.group(2)})){said.group(3)}")


def enum_specs(planned: TablePlan, table: LiveTable, types: Mapping[str, EnumType]) -> list[ColumnSpec]:
    """The columns that become enums, or have become them."""
    made: list[ColumnSpec] = []
    for column in (column for column in planned.columns if column.type is not None):
        live = table.column(column.name)
        assert live is not None
        made.append(column_spec(live, column, types))
    return made
