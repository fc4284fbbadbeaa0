"""What a plan means for the schema file: before its run and after it alike.

Everything is asked of the server, which spells types and defaults as Prisma will read them later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from psycopg import errors

from producer.prisma.changes import AddedColumn, Change, KeyChanged, LostForeignKey, SettledColumn, ToUuid
from producer.prisma.document import Block, Document
from producer.prisma.renames import file_name, in_names, live_name, renames_of, told
from producer.prisma.schema_names import Table, column_of, table_of
from replank.errors import WrongUse
from replank.plan import AddedColumnPlan, ColumnPlan, FilledColumnPlan, Plan, TablePlan
from sql import prisma
from sql.catalogue import LiveTable, read_tables
from sql.connection import Connection
from sql.indexes import constraint_name
from sql.next_table import next_default

UUIDS = ("uuid", "uuid[]")


def planned_changes(connection: Connection, plan: Plan, document: Document, default_schema: str) -> list[Change]:
    """All changes, in the plan's order. Raises WrongUse where the plan does not fit the database."""
    live = {(table.schema, table.name): table for table in read_tables(connection)}
    rule = plan.steps.mappings
    changes: list[Change] = []
    for planned in plan.tables:
        table, present = live_name(rule, live, planned)
        if table is None:
            raise WrongUse(f"table {planned.full_name} of the plan is not in this database")
        in_file, names = file_name(rule, document, planned, default_schema)
        to_file = {now: names.get(new, new) for new, now in present.items()}
        for change in table_changes(connection, in_names(planned, table.name, present), table):
            if isinstance(change, AddedColumn) and change.unique:
                # Named when the table has its new name.
                change = replace(change, unique=constraint_name(planned.name, change.column, "key"))
            changes.append(told(change, in_file, to_file))
        changes += _lost_relations(in_names(planned, in_file[1], names), document, default_schema)
    return changes + renames_of(rule, document, live, default_schema)


def table_changes(connection: Connection, planned: TablePlan, table: LiveTable) -> list[Change]:
    """What the plan changes of one table."""
    named = (table.schema, table.name)
    changes: list[Change] = [
        ToUuid(table=named, column=column.name, default=uuid_default(connection, table, column))
        for column in planned.columns
    ]
    if planned.add:
        changes += [_added(connection, table, column) for column in planned.add]
    for filled in planned.fill:
        if filled.not_null or filled.default is not None:
            changes.append(_filled(connection, table, filled))
    changes += _keys(connection, planned, table)
    return changes


def uuid_default(connection: Connection, table: LiveTable, column: ColumnPlan) -> str:
    """The default that the column has as uuid, as the server spells it; empty for none."""
    live = table.column(column.name)
    if live is None:
        raise WrongUse(f"column {table.full_name}.{column.name} of the plan is not in this database")
    if live.type in UUIDS:
        return live.default_expr or ""
    if column.default is not None:
        return _settled(connection, f"{table.full_name}.{column.name}", column.to, column.default).default
    if live.default_expr is None:
        return ""
    cast = next_default(live.default_expr, column.to).as_string(connection)
    return _settled(connection, f"{table.full_name}.{column.name}", column.to, cast).default


def _settled(connection: Connection, name: str, column_type: str, default: str) -> prisma.Settled:
    try:
        return prisma.settle(connection, column_type, default)
    except errors.OperationalError:
        raise
    except errors.DatabaseError as error:
        raise WrongUse(
            f"{name}: the server does not understand type or default: {error.diag.message_primary}"
        ) from None


def _added(connection: Connection, table: LiveTable, column: AddedColumnPlan) -> AddedColumn:
    named = (table.schema, table.name)
    unique = constraint_name(table.name, column.name, "key") if column.unique else ""
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
    settled = _settled(connection, f"{table.full_name}.{column.name}", column.type, column.default or "")
    return AddedColumn(
        table=named,
        column=column.name,
        type=settled.type,
        not_null=column.not_null,
        default=settled.default,
        unique=unique,
        enum=settled.enum,
    )


def _filled(connection: Connection, table: LiveTable, filled: FilledColumnPlan) -> SettledColumn:
    live = table.column(filled.name)
    if live is None:
        raise WrongUse(f"column {table.full_name}.{filled.name} of the plan is not in this database")
    default = ""
    if filled.default is not None:
        default = _settled(connection, f"{table.full_name}.{filled.name}", live.type, filled.default).default
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
