"""Something that happens in between: before each statement of a session, in the same thread, so at a known place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.sql import Composable
from support.runs.harness import Url

from sql.session.second_session import second_session


def before_each(connection: psycopg.Connection[Any], act: Callable[[str], None]) -> None:
    """Call `act` with the text of every statement that this session is about to send."""

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **named: Any) -> Cursor:
            act(query.as_string(connection) if isinstance(query, Composable) else str(query))
            super().execute(query, *arguments, **named)
            return self

    connection.cursor_factory = Cursor


@contextmanager
def interruptible(first: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """The cutover's second session, whose statements are shown to whoever `before_each` calls for the first."""
    with second_session(first) as second:
        second.cursor_factory = first.cursor_factory
        yield second


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


class Rewriter:
    """Updates a row and has the table rewritten, before every `stride`-th statement of the sessions it interrupts.

    ALTER TABLE … TYPE … USING is not MVCC-safe: a snapshot from before sees no row in the new file.
    """

    def __init__(self, url: Url, *, stride: int, most: int) -> None:
        self._stride, self._most = stride, most
        self._session = psycopg.connect(url, autocommit=True, options="-c lock_timeout=5ms")
        self._statements = 0
        self.rewritten = 0

    def __enter__(self) -> Rewriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def interrupt(self, *connections: psycopg.Connection[Any]) -> None:
        for connection in connections:
            before_each(connection, self._at)

    def _at(self, _: str) -> None:
        self._statements += 1
        if self._statements % self._stride or self.rewritten == self._most:
            return
        try:
            self._session.execute("UPDATE t SET n = n + 1 WHERE n %% 7 = %s", [self.rewritten % 7])
            self._session.execute("ALTER TABLE t ALTER COLUMN note TYPE text USING note || ''")
        except errors.LockNotAvailable:
            return
        self.rewritten += 1
