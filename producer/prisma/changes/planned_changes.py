"""What a plan means for the schema file: before its run and after it alike.

Everything is asked of the server, which spells types and defaults as Prisma will read them later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from producer.history.changes.changes import (
    AddedColumn,
    Change,
    LostForeignKey,
)
from producer.history.changes.names_now import in_names, live_name, steps_now, told
from producer.history.changes.step_changes import step_changes
from producer.history.changes.table_changes import table_changes
from producer.prisma.changes.renames import file_name, in_file, renames_of
from producer.prisma.schema.document import Block, Document
from producer.prisma.schema.schema_names import Table, column_of, table_of
from producer.steps.enum_types import EnumType, enum_types, make_types
from replank.errors import WrongUse
from replank.names import joined_name
from replank.plan.plan import Plan
from replank.plan.tables.table_plan import TablePlan
from sql.catalogue.catalogue import LiveTable, read_tables
from sql.session.connection import Connection
from sql.session.statements import scratch


def planned_changes(connection: Connection, plan: Plan, document: Document, default_schema: str) -> list[Change]:
    """All changes, in the plan's order. Raises WrongUse where the plan does not fit the database."""
    live = {(table.schema, table.name): table for table in read_tables(connection)}
    rule = plan.steps.mappings
    enums = enum_types(connection, plan)
    changes = [
        in_file(rule, document, change, default_schema)
        for change in step_changes(connection, steps_now(plan.steps, live), list(live.values()))
    ]
    with scratch(connection):
        # Columns may have types that step 05 is yet to make.
        make_types(connection, plan)
        for _, planned in plan.wanted_tables:
            changes += _of_table(connection, plan, planned, document, default_schema, live, enums)
    return changes + renames_of(rule, document, live, default_schema)


def _of_table(
    connection: Connection,
    plan: Plan,
    planned: TablePlan,
    document: Document,
    default_schema: str,
    live: Mapping[Table, LiveTable],
    enums: Mapping[str, EnumType],
) -> Iterator[Change]:
    """What the plan changes of one table, in the names of the file."""
    rule = plan.steps.mappings
    table, present = live_name(rule, live, planned)
    if table is None:
        raise WrongUse(f"table {planned.full_name} of the plan is not in this database")
    named, names = file_name(rule, document, (planned.table_schema, planned.name), default_schema)
    to_file = {now: names.get(new, new) for new, now in present.items()}
    for change in table_changes(connection, in_names(planned, table.name, present), table, enums):
        if isinstance(change, AddedColumn) and change.unique:
            # Named when the table has its new name.
            change = replace(change, unique=joined_name(planned.name, change.column, ending="_key"))
        yield told(change, named, to_file)
    yield from _lost_relations(in_names(planned, named[1], names), document, default_schema)


def _lost_relations(planned: TablePlan, document: Document, default_schema: str) -> Iterator[LostForeignKey]:
    """Relations of the file that lead to a partitioned table by columns which are no key of it any more."""
    plan = planned.partition
    if plan is None or plan.by == "none":
        return
    tables = {block.name: table_of(block, default_schema) for block in document.models}
    target = next((b for b in document.models if tables[b.name] == (planned.table_schema, planned.name)), None)
    for block in document.models if target is not None else ():
        for field in block.fields:
            relation = field.attribute("relation")
            if target is None or field.type != target.name or relation is None:
                continue
            led_to = _columns(target, relation.fields_of("references", unnamed=False))
            over = _columns(block, relation.fields_of("fields", unnamed=False))
            if over and plan.column not in led_to:
                yield LostForeignKey(table=tables[block.name], columns=over)


def _columns(block: Block, fields: Sequence[str]) -> tuple[str, ...]:
    found = (block.field(name) for name in fields)
    return tuple(column_of(field) for field in found if field is not None)


def without_model(document: Document, changes: Sequence[Change], default_schema: str) -> list[Table]:
    """Tables of the changes that no model of the file stands for."""
    known = {table_of(block, default_schema) for block in document.of_kind("model", "view")}
    tables = dict.fromkeys(change.table for change in changes if hasattr(change, "table"))
    return [table for table in tables if table not in known]
