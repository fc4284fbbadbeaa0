"""NOT NULL and uniqueness of columns that were filled in place: proved while applications write, then made at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from psycopg.sql import SQL, Identifier

from replank.names import joined_name
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.next_table.indexes import planned_indexes
from sql.session.connection import Connection
from sql.session.statements import Statement
from sql.session.table_names import live_table


def check_name(spec: TableSpec, column: ColumnSpec) -> str:
    return joined_name(spec.name, column.name, ending=f"_replank_{spec.run_id}_check")


def added_check(spec: TableSpec, column: ColumnSpec) -> Statement:
    """A CHECK that holds for new rows at once; read through later, it proves NOT NULL without a long lock."""
    added = SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID")
    name = Identifier(check_name(spec, column))
    return Statement(sql=added.format(live_table(spec), name, Identifier(column.name)))


def final_constraints(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    """When all is proved and every index is built: in their final form, without reading a row."""
    proved = SQL("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL, DROP CONSTRAINT {}")
    for column in (column for column in spec.columns if column.not_null):
        check = Identifier(check_name(spec, column))
        yield Statement(sql=proved.format(live_table(spec), Identifier(column.name), check))
    unique = SQL("ALTER TABLE {} ADD CONSTRAINT {} UNIQUE USING INDEX {}")
    for index in planned_indexes(connection, spec):
        name = Identifier(index.name)
        yield Statement(sql=unique.format(live_table(spec), name, name))


def loosened(spec: TableSpec, nullable: Collection[str]) -> Iterator[Statement]:
    """The rollback, first: no CHECK, and NOT NULL only where it was. `nullable` names columns that could be NULL."""
    for column in (column for column in spec.columns if column.not_null):
        name = Identifier(check_name(spec, column))
        yield Statement(sql=SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(live_table(spec), name))
        if column.name in nullable:
            loose = SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL")
            yield Statement(sql=loose.format(live_table(spec), Identifier(column.name)))


def taken_out(spec: TableSpec) -> list[Statement]:
    """The rollback, last: each live column as it was before."""
    return [_without(spec, column) for column in spec.columns if column.added or column.default]


def _without(spec: TableSpec, column: ColumnSpec) -> Statement:
    table, name = live_table(spec), Identifier(column.name)
    if column.added:
        return Statement(sql=SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(table, name))
    if column.live_default:
        default = SQL(column.live_default)
        return Statement(sql=SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(table, name, default))
    return Statement(sql=SQL("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT").format(table, name))
