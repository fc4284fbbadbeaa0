"""Snapshots that several verify jobs share: exported here, imported by the workers."""

from __future__ import annotations

from psycopg import IsolationLevel

from sql.session.connection import Connection, connect

MOST_AT_ONCE = 4
"""Each keeps a connection and holds vacuum back: few at a time, each only as long as one table."""


class SnapshotKeeper:
    """Holds one REPEATABLE READ transaction per table while that table is verified."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._held: dict[int, Connection] = {}

    def may_export(self) -> bool:
        return len(self._held) < MOST_AT_ONCE

    def export(self, table_no: int) -> str:
        """A snapshot's name, valid until `release`. Everything committed before is visible in it."""
        self.release(table_no)
        connection = connect(
            self._url,
            name=f"snapshot {table_no}",
            autocommit=False,
            settings={"idle_in_transaction_session_timeout": "0"},
        )
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        found = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert found is not None
        self._held[table_no] = connection
        return str(found[0])

    def holds(self, table_no: int) -> bool:
        """Whether this process still holds the table's snapshot; a new coordinator holds none."""
        connection = self._held.get(table_no)
        return connection is not None and not connection.broken and not connection.closed

    def release(self, table_no: int) -> None:
        connection = self._held.pop(table_no, None)
        if connection is not None:
            connection.close()

    def close(self) -> None:
        for table_no in list(self._held):
            self.release(table_no)
