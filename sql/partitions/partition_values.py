"""What the live rows have in the column that the next table is partitioned by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import ColumnSpec, TableSpec
from sql.rows.copy import joined_source, source
from sql.session.connection import Connection, row, run
from sql.session.named_queries import query
from sql.values.conversion import converted_if_valid, next_value, type_name
from sql.values.equality_operators import operator


def kind_of_type(connection: Connection, spelled: str) -> str:
    """The bare name of a type as the server has it (`timestamptz`, `date`, `uuid`); a domain's is its base type's.

    Raises psycopg.errors.DatabaseError if there is no such type.
    """
    typed = SQL("NULL::{}").format(type_name(spelled))
    found = row(connection, query("layout.type_kind").format(typed=typed))
    return "" if found is None else str(found["name"])


def _next(connection: Connection, spec: TableSpec, column: ColumnSpec) -> tuple[Composable, Composable]:
    """A live row's next value, and where from. A text that will not convert counts as NULL: its own check finds it."""
    version = connection.info.server_version
    if column.value:
        return next_value(column, "live", version), joined_source(spec)
    return converted_if_valid(column, Identifier("live", column.name), version), source(spec)


def lowest(
    connection: Connection, spec: TableSpec, column: ColumnSpec, *, between: tuple[str, str], version_7: bool
) -> str | None:
    """The lowest value within half-open limits, as text; None if there is none. An index of the column serves it."""
    found, table = _next(connection, spec, column)
    kind = type_name(column.next_type)
    only = SQL("pg_catalog.substr(({})::pg_catalog.text, 15, 1) = '7'").format(found)
    statement = SQL("SELECT ({0})::pg_catalog.text FROM {1} WHERE {0} >= {2}::{4} AND {0} < {3}::{4} AND {5}").format(
        found, table, *between, kind, only if version_7 else SQL("true")
    )
    answer = run(connection, SQL("{} ORDER BY {} LIMIT 1").format(statement, found)).fetchone()
    return None if answer is None else str(answer[0])


@dataclass(frozen=True, kw_only=True)
class Strays:
    """Rows that no partition is for: with NULL, and with another value."""

    nulls: int
    outside: int


def count_strays(
    connection: Connection,
    spec: TableSpec,
    column: ColumnSpec,
    *,
    limits: tuple[str, str] | None,
    listed: Sequence[str],
) -> Strays:
    """Count rows with NULL, outside of half-open `limits`, or not `listed` (either of the two is given)."""
    found, table = _next(connection, spec, column)
    kind = type_name(column.next_type)
    if limits is not None:
        lower, upper = limits
        outside = SQL("{0} < {1}::{3} OR {0} >= {2}::{3}").format(found, lower, upper, kind)
    else:
        values = SQL(", ").join(SQL("{}::{}").format(value, kind) for value in listed)
        outside = SQL("NOT {} {} ANY (ARRAY[{}])").format(found, operator(column.operators), values)
    counted = [
        run(connection, SQL("SELECT count(*) FROM {} WHERE {}").format(table, where)).fetchone()
        for where in (SQL("{} IS NULL").format(found), outside)
    ]
    nulls, others = (int(one[0]) if one else 0 for one in counted)
    return Strays(nulls=nulls, outside=others)
