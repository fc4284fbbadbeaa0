"""Quarantine in the ledger: which tables take part, since when, and how many of their rows are quarantined."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg.sql import SQL

from replank.values.table_spec import TableSpec
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query


def hold(connection: Connection, specs: Iterable[TableSpec], *, patient: bool) -> None:
    """No other session resolves a quarantine until the transaction ends. Nothing is locked where no table has one.

    It has to be the transaction's first statement: its snapshot then sees what the one before has resolved.
    No query may come before it, not even one for a setting. With `patient` it waits as long as another drain
    works, and the transaction has no lock_timeout until one is set.
    """
    if any(spec.settles for spec in specs):
        if patient:
            connection.execute(SQL("SET LOCAL lock_timeout = 0"))
        connection.execute(SQL("LOCK TABLE replank.quarantine IN SHARE UPDATE EXCLUSIVE MODE"))


def add(connection: Connection, spec: TableSpec) -> None:
    connection.execute(query("quarantine.add"), _id(spec))


def remove(connection: Connection, spec: TableSpec) -> None:
    connection.execute(query("quarantine.remove"), _id(spec))


def join(connection: Connection, spec: TableSpec) -> bool:
    """From now on quarantine is kept right in this table. False if it was so before."""
    return row(connection, query("quarantine.join"), _id(spec)) is not None


def joined(connection: Connection, run_id: int) -> set[int]:
    return {found["table_no"] for found in rows(connection, query("quarantine.joined"), {"run_id": run_id})}


def set_rows(connection: Connection, spec: TableSpec, count: int) -> None:
    connection.execute(query("quarantine.set_rows"), {**_id(spec), "rows": count})


def quarantined_rows(connection: Connection, run_id: int) -> dict[int, int]:
    """Table number → rows quarantined, for the tables that may have some."""
    return {
        found["table_no"]: found["rows"] for found in rows(connection, query("quarantine.rows"), {"run_id": run_id})
    }


def _id(spec: TableSpec) -> dict[str, int]:
    return {"run_id": spec.run_id, "table_no": spec.table_no}
