"""Filling in place: a chunk's rows get their values, and a rollback removes those that have not changed since."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Composable, Identifier

from replank.values.chunk import Chunk
from replank.values.table_spec import TableSpec
from sql.rows.backfill import fill_value, filled_columns, filled_table, remembered_columns
from sql.rows.copy import in_chunk, joined_source
from sql.session.connection import Connection, apply_settings, run, value
from sql.session.statements import Statement, execute
from sql.session.table_names import live_table
from sql.values.conversion import column_list
from sql.values.equality_operators import all_equal, as_bytes


def backfill_chunk(connection: Connection, spec: TableSpec, chunk: Chunk, *, quiet: bool) -> int:
    """Fill the chunk's rows in the caller's transaction. Returns how many there were.

    With `quiet`, the application's own triggers do not see it: what a row means has not changed.
    """
    if quiet:
        apply_settings(connection, {"session_replication_role": "replica"}, local=True)
    return int(run(connection, backfill_statement(spec, chunk)).rowcount)


def backfill_statement(spec: TableSpec, chunk: Chunk) -> Composable:
    """Lock the rows first, so that no value is computed from a row that another session is changing."""
    return backfill_where(spec, in_chunk(spec, chunk))


def backfill_where(spec: TableSpec, where: Composable) -> Composable:
    """`backfill_statement` for the live rows that a condition on `live` chooses."""
    columns, remembered = filled_columns(spec), remembered_columns(spec)
    empty = [
        SQL("(live.{} IS NULL AND {} IS NOT NULL)").format(Identifier(column.name), fill_value(column))
        for column in columns
    ]
    values = [
        SQL("CASE WHEN live.{0} IS NULL THEN {1} END AS {2}").format(
            Identifier(column.name), fill_value(column), _value_name(number)
        )
        for number, column in enumerate(columns)
    ]
    same = _same_key(spec, "target", "chosen")
    assignments = SQL(", ").join(
        SQL("{0} = coalesce(target.{0}, chosen.{1})").format(Identifier(column.name), _value_name(number))
        for number, column in enumerate(columns)
    )
    only = SQL("" if spec.partitioned else "ONLY ")
    statement = SQL(
        "WITH chosen AS MATERIALIZED (SELECT {keys}, {values} FROM {source} WHERE {chunk} AND ({empty})"
        " FOR UPDATE OF live), filled AS (UPDATE {only}{live} AS target SET {assignments} FROM chosen WHERE {same}"
        " RETURNING 1) "
    ).format(
        keys=column_list(spec.key_columns, "live"),
        values=SQL(", ").join(values),
        source=joined_source(spec),
        chunk=where,
        empty=SQL(" OR ").join(empty),
        only=only,
        live=live_table(spec),
        assignments=assignments,
        same=same,
    )
    if not remembered:
        return statement + SQL("SELECT FROM filled")
    numbers = {column.name: number for number, column in enumerate(columns)}
    return statement + SQL("INSERT INTO {} SELECT {}, {} FROM chosen").format(
        filled_table(spec),
        column_list(spec.key_columns, "chosen"),
        SQL(", ").join(SQL("chosen.{}").format(_value_name(numbers[c.name])) for c in remembered),
    )


def _value_name(number: int) -> Identifier:
    return Identifier(f"replank value {number}")


def reset_filled_columns(connection: Connection, spec: TableSpec, *, quiet: bool) -> None:
    """Take out the values that are still the ones that were filled in; what was written since stays."""
    there = value(connection, SQL("SELECT to_regclass({})::text").format(f"replank.{spec.filled_name}"))
    if there is None:
        return
    if quiet:
        apply_settings(connection, {"session_replication_role": "replica"}, local=True)
    execute(connection, reset_statements(spec))


def reset_statements(spec: TableSpec) -> Iterator[Statement]:
    """The statements of `reset_filled_columns`."""
    same = _same_key(spec, "live", "filled")
    emptied = SQL("UPDATE {} AS live SET {} = NULL FROM {} AS filled WHERE {} AND {} = {}")
    for column in remembered_columns(spec):
        name = Identifier(column.name)
        live, filled = (as_bytes(column, Identifier(table, column.name)) for table in ("live", "filled"))
        yield Statement(sql=emptied.format(live_table(spec), name, filled_table(spec), same, live, filled))


def _same_key(spec: TableSpec, one: str, other: str) -> Composable:
    return all_equal(
        spec.key_columns,
        [Identifier(one, name) for name in spec.key],
        [Identifier(other, name) for name in spec.key],
    )
