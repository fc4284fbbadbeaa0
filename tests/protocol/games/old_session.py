"""A session whose snapshot stays while the tables change places: what it sees is what was there when it began."""

from __future__ import annotations

from collections.abc import Collection

import psycopg
from psycopg import IsolationLevel, errors

READS = {
    "p": "SELECT id::uuid::text, u::text, note FROM p",
    "c": "SELECT id::uuid::text, p_id::uuid::text, note FROM c",
    "k": "SELECT a::uuid::text, b::text, n::text, note FROM k",
}


class Unseen(AssertionError):
    """A session does not see what was committed before its snapshot."""


class OldSession:
    """Takes a snapshot without a lock on any table of the game. A judge reads the tables at the same snapshot."""

    def __init__(self, url: str) -> None:
        self.session = psycopg.connect(url, options="-c lock_timeout=20ms")
        self.session.isolation_level = IsolationLevel.REPEATABLE_READ
        self.judge = psycopg.connect(url, options="-c lock_timeout=20ms")
        self.judge.isolation_level = IsolationLevel.REPEATABLE_READ
        self.expected: dict[str, list[tuple[object, ...]]] = {}

    def close(self) -> None:
        self.session.close()
        self.judge.close()

    def begin(self) -> None:
        """If it has no snapshot yet."""
        if self.expected:
            return
        self.session.execute("SELECT FROM apart").fetchall()
        (snapshot,) = self.session.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        try:
            self.judge.execute(psycopg.sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
            self.expected = {name: _read(self.judge, name) for name in READS}
        except errors.LockNotAvailable:
            self.session.rollback()
        self.judge.rollback()

    def look(self, *, without: Collection[str]) -> None:
        """Read, and end. What is locked just then is left out. TRUNCATE empties a table for every snapshot."""
        try:
            for name, expected in self.expected.items():
                if name in without:
                    continue
                found = _read(self.session, name)
                if found != expected:
                    raise Unseen(f"{name}: {len(expected)} rows were there, {len(found)} are seen, or other values")
        except errors.LockNotAvailable:
            pass
        finally:
            self.session.rollback()
            self.expected = {}


def _read(session: psycopg.Connection, name: str) -> list[tuple[object, ...]]:
    return sorted(session.execute(READS[name].encode()).fetchall(), key=repr)
