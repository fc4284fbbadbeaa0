"""Something that happens in between: before each statement of a session, in the same thread, so at a known place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import errors, sql

from .harness import Url


def before_each(connection: psycopg.Connection[Any], act: Callable[[str], None]) -> None:
    """Call `act` with the text of every statement that this session is about to send."""

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **named: Any) -> Cursor:
            act(query.as_string(connection) if isinstance(query, sql.Composable) else str(query))
            super().execute(query, *arguments, **named)
            return self

    connection.cursor_factory = Cursor


class LateWriter:
    """Writes and commits right before each lock of a session is asked for, and keeps a journal of what it was told."""

    def __init__(self, url: Url, statement: str) -> None:
        """`statement` takes one value: a new uuid as text."""
        self._statement = statement
        # It stands in for others, in the thread of the one it interrupts: it may not wait for that one's locks.
        self._session = psycopg.connect(url, autocommit=True, options="-c lock_timeout=20ms")
        self.acknowledged: list[str] = []

    def __enter__(self) -> LateWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def interrupt(self, connection: psycopg.Connection[Any]) -> None:
        before_each(connection, self._at)

    def _at(self, statement: str) -> None:
        if "LOCK TABLE" not in statement:
            return
        key = f"a0eebc99-9c0b-4ef8-bb6d-{len(self.acknowledged):012}"
        try:
            self._session.execute(self._statement.encode(), [key])
        except (errors.LockNotAvailable, errors.UndefinedTable):
            return
        self.acknowledged.append(key)
