"""NOT NULL and uniqueness of columns that were filled in place: proved while everybody writes, then made at once."""

from __future__ import annotations

from collections.abc import Collection

from psycopg.sql import SQL, Composable, Identifier

from replank.names import joined_name
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.next_table.indexes import planned_indexes
from sql.session.connection import Connection
from sql.session.table_names import live_table


def check_name(spec: TableSpec, column: ColumnSpec) -> str:
    return joined_name(spec.name, column.name, ending=f"_replank_{spec.run_id}_check")


def added_check(spec: TableSpec, column: ColumnSpec) -> Composable:
    """A CHECK that holds for new rows at once; read through later, it proves NOT NULL without a long lock."""
    return SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID").format(
        live_table(spec), Identifier(check_name(spec, column)), Identifier(column.name)
    )


def final_constraints(connection: Connection, spec: TableSpec) -> list[Composable]:
    """When all is proved and every index is built: in their final form, without reading a row."""
    made: list[Composable] = [
        SQL("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL, DROP CONSTRAINT {}").format(
            live_table(spec), Identifier(column.name), Identifier(check_name(spec, column))
        )
        for column in spec.columns
        if column.not_null
    ]
    for index in planned_indexes(connection, spec):
        name = Identifier(index.name)
        made.append(SQL("ALTER TABLE {} ADD CONSTRAINT {} UNIQUE USING INDEX {}").format(live_table(spec), name, name))
    return made


def loosened(spec: TableSpec, nullable: Collection[str]) -> list[Composable]:
    """The way back, first: no CHECK, and NOT NULL only where it was. `nullable` names columns that could be NULL."""
    made: list[Composable] = []
    for column in (column for column in spec.columns if column.not_null):
        name = Identifier(check_name(spec, column))
        made.append(SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(live_table(spec), name))
        if column.name in nullable:
            loose = SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL")
            made.append(loose.format(live_table(spec), Identifier(column.name)))
    return made


def taken_out(spec: TableSpec) -> list[Composable]:
    """The way back, last: each live column as it was before."""
    return [_without(spec, column) for column in spec.columns if column.added or column.default]


def _without(spec: TableSpec, column: ColumnSpec) -> Composable:
    name = Identifier(column.name)
    if column.added:
        return SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(live_table(spec), name)
    if column.live_default:
        default = SQL(column.live_default)
        return SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(live_table(spec), name, default)
    return SQL("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT").format(live_table(spec), name)
