"""What a plan means for the schema file: before its run and after it alike.

Everything is asked of the server, which spells types and defaults as Prisma will read them later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from psycopg import errors

from producer.planning.table_specs import column_spec
from producer.prisma.changes.changes import (
    AddedColumn,
    Change,
    KeyChanged,
    LostForeignKey,
    SettledColumn,
    ToEnum,
    ToUuid,
)
from producer.prisma.changes.renames import file_name, in_file, in_names, live_name, renames_of, steps_now, told
from producer.prisma.changes.step_changes import step_changes
from producer.prisma.schema.document import Block, Document
from producer.prisma.schema.schema_names import Table, column_of, table_of
from producer.steps.enum_types import EnumType, enum_types, make_types
from replank.errors import WrongUse
from replank.names import joined_name
from replank.plan.plan import Plan
from replank.plan.tables.table_plan import AddedColumnPlan, ColumnPlan, FilledColumnPlan, TablePlan
from replank.plan.text.plan_words import split_name
from sql.catalogue import prisma
from sql.catalogue.catalogue import LiveColumn, LiveTable, read_tables
from sql.next_table.builder import column_default
from sql.session.connection import Connection
from sql.session.statements import scratch

UUIDS = ("uuid", "uuid[]")


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


def table_changes(
    connection: Connection, planned: TablePlan, table: LiveTable, enums: Mapping[str, EnumType]
) -> list[Change]:
    """What the plan changes of one table."""
    changes = [_converted(connection, table, column, enums) for column in planned.columns]
    if planned.add:
        changes += [_added(connection, table, column) for column in planned.add]
    for filled in planned.fill:
        if filled.not_null or filled.default is not None:
            changes.append(_filled(connection, table, filled))
    changes += _keys(connection, planned, table)
    return changes


def _converted(connection: Connection, table: LiveTable, column: ColumnPlan, enums: Mapping[str, EnumType]) -> Change:
    named, default = (table.schema, table.name), converted_default(connection, table, column, enums)
    if column.type is None:
        return ToUuid(table=named, column=column.name, default=default)
    enum = enums[column.type]
    return ToEnum(table=named, column=column.name, enum=split_name(column.type), labels=enum.labels, default=default)


def converted_default(
    connection: Connection, table: LiveTable, column: ColumnPlan, enums: Mapping[str, EnumType]
) -> str:
    """The default that the column has as what it becomes, as the server spells it; empty for none."""
    live = table.column(column.name)
    if live is None:
        raise WrongUse(f"column {table.full_name}.{column.name} of the plan is not in this database")
    if is_converted(live, column, enums):
        return live.default_expr or ""
    default = column.default
    if default is None and live.default_expr is not None:
        default = column_default(column_spec(live, column, enums), live.default_expr).as_string(connection)
    if default is None:
        return ""
    to = column.to if column.type is None else enums[column.type].spelled
    return _normalized(connection, f"{table.full_name}.{column.name}", to, default).default


def is_converted(live: LiveColumn, column: ColumnPlan, enums: Mapping[str, EnumType]) -> bool:
    """Whether the column is what the plan makes of it."""
    return live.type in (UUIDS if column.type is None else (enums[column.type].spelled,))


def _normalized(connection: Connection, name: str, column_type: str, default: str) -> prisma.Normalized:
    try:
        return prisma.normalize_column(connection, column_type, default)
    except errors.OperationalError:
        raise
    except errors.DatabaseError as error:
        raise WrongUse(
            f"{name}: the server does not understand type or default: {error.diag.message_primary}"
        ) from None


def _added(connection: Connection, table: LiveTable, column: AddedColumnPlan) -> AddedColumn:
    named = (table.schema, table.name)
    unique = joined_name(table.name, column.name, ending="_key") if column.unique else ""
    live = table.column(column.name)
    if live is not None:
        return AddedColumn(
            table=named,
            column=column.name,
            type=live.type,
            not_null=live.not_null,
            default=live.default_expr or "",
            unique=unique,
            enum=column.name in prisma.enum_columns(connection, table.oid),
        )
    normalized = _normalized(connection, f"{table.full_name}.{column.name}", column.type, column.default or "")
    return AddedColumn(
        table=named,
        column=column.name,
        type=normalized.type,
        not_null=column.not_null,
        default=normalized.default,
        unique=unique,
        enum=normalized.enum,
    )


def _filled(connection: Connection, table: LiveTable, filled: FilledColumnPlan) -> SettledColumn:
    live = table.column(filled.name)
    if live is None:
        raise WrongUse(f"column {table.full_name}.{filled.name} of the plan is not in this database")
    default = ""
    if filled.default is not None:
        default = _normalized(connection, f"{table.full_name}.{filled.name}", live.type, filled.default).default
    return SettledColumn(
        table=(table.schema, table.name), column=filled.name, not_null=filled.not_null, default=default
    )


def _keys(connection: Connection, planned: TablePlan, table: LiveTable) -> Iterator[KeyChanged]:
    """Keys and unique indexes of a partitioned table hold its column, or are unique no longer."""
    plan = planned.partition
    if plan is None or plan.by == "none" or plan.column is None:
        return
    for index in prisma.read_live_indexes(connection, [table.oid]):
        if index.columns is None or index.partial:
            continue
        over = index.columns
        if not index.is_unique:
            # After the run: it may have been unique before.
            yield _key_changed(table, index.name, "index", over)
        elif plan.column in over or index.constraint_type is not None:
            over = over if plan.column in over else (*over, plan.column)
            yield _key_changed(table, index.name, "id" if index.is_primary else "unique", over)
        else:
            yield _key_changed(table, index.name, "index", over)


def _key_changed(table: LiveTable, name: str, kind: str, over: tuple[str, ...]) -> KeyChanged:
    named = (table.schema, table.name)
    return KeyChanged(table=named, name=name, kind=kind, columns=over)  # type: ignore[arg-type]


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
