"""Workers that die between two statements, at a place that the test chooses."""

from __future__ import annotations

import random
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from replank.settings import Settings
from sql.session.connection import SESSION, Connection, apply_settings
from workers.execution.executor import Executor


class MortalCursor(psycopg.Cursor[Any]):
    """Counts down its connection's life."""

    def execute(self, *arguments: Any, **named: Any) -> MortalCursor:
        connection = self.connection
        assert isinstance(connection, MortalConnection)
        connection.live_or_die()
        super().execute(*arguments, **named)
        return self


class MortalConnection(psycopg.Connection[TupleRow]):
    """Closes its socket before the statement after the last one it may make: no ROLLBACK, no goodbye."""

    statements_left: int | None = None

    def live_or_die(self) -> None:
        if self.statements_left is None:
            return
        if self.statements_left <= 0:
            self.close()
            raise psycopg.OperationalError("the worker was killed here")
        self.statements_left -= 1


def mortal_worker(settings: Settings, statements: int) -> Executor:
    """A worker that dies before its statement number `statements` + 1."""
    connection: Connection = MortalConnection.connect(
        settings.database(), autocommit=True, cursor_factory=MortalCursor, application_name="replank mortal"
    )
    assert isinstance(connection, MortalConnection)
    apply_settings(connection, {**SESSION, "client_connection_check_interval": "1s"})
    connection.statements_left = statements
    return Executor(connection=connection, worker="mortal", settings=settings, random_source=random.Random(1))
