"""Transactions that see one moment, and what may go unseen in them: a table that was rewritten after that moment.

ALTER TABLE … TYPE … USING and TRUNCATE, pg_repack, or a recreated partition, are not MVCC-safe: to a snapshot
from before, the new file holds nothing. Copy jobs pin the file that their blocks were cut from; a transaction that sees
one moment compares, at its end, the file of each table that it has read with the one that its own snapshot knows. Its
locks, one on everything that it has read, have kept that file since the first read. (PostgreSQL manual, 13.6: MVCC
caveats.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from psycopg import IsolationLevel

from replank.errors import RewrittenMeanwhile
from sql.session.connection import Connection, isolated, rows
from sql.session.named_queries import query

T = TypeVar("T")

TRIES = 5


@contextmanager
def one_snapshot(connection: Connection, *, force_rollback: bool = False) -> Iterator[None]:
    """A REPEATABLE READ transaction. Raises RewrittenMeanwhile, and changes nothing, where a table was rewritten."""
    with isolated(connection, IsolationLevel.REPEATABLE_READ), connection.transaction(force_rollback=force_rollback):
        yield
        refuse_rewritten(connection)


def refuse_rewritten(connection: Connection) -> None:
    """As the last thing in a REPEATABLE READ transaction that has read tables of the application's.

    Raises RewrittenMeanwhile: what this transaction has read is not what was there at its snapshot.
    """
    found = rows(connection, query("rewritten.tables"))
    if found:
        names = ", ".join(each["name"] for each in found)
        raise RewrittenMeanwhile(f"{names}: rewritten after this transaction's snapshot was taken; read again")


def read_at_one_snapshot(connection: Connection, read: Callable[[], T], *, force_rollback: bool = False) -> T:
    """What `read` says at one moment; once more where a table was rewritten. Raises RewrittenMeanwhile at last."""
    for _ in range(TRIES - 1):
        try:
            with one_snapshot(connection, force_rollback=force_rollback):
                return read()
        except RewrittenMeanwhile:
            continue
    with one_snapshot(connection, force_rollback=force_rollback):
        return read()
