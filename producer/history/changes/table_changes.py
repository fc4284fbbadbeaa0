"""What a plan changes of one table: before its run and after it alike.

Everything is asked of the server, which spells types and defaults as they will be read later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from psycopg import errors

from producer.history.changes.changes import AddedColumn, Change, KeyChanged, SettledColumn, ToEnum, ToUuid
from producer.planning.table_specs import column_spec
from producer.steps.enum_types import EnumType
from replank.errors import WrongUse
from replank.names import joined_name
from replank.plan.tables.table_plan import AddedColumnPlan, ColumnPlan, FilledColumnPlan, TablePlan
from replank.plan.text.plan_words import split_name
from sql.catalogue import prisma
from sql.catalogue.catalogue import LiveColumn, LiveTable
from sql.next_table.builder import column_default
from sql.session.connection import Connection

UUIDS = ("uuid", "uuid[]")


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
