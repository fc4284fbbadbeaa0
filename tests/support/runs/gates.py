"""Gates: a lock that makes Replank's work wait in a known place, so that a fault hits it there."""

import contextlib
from collections.abc import Iterator

import psycopg
from psycopg.sql import SQL, Identifier


@contextlib.contextmanager
def locked(url: str, schema: str, table: str) -> Iterator[None]:
    """Hold ACCESS EXCLUSIVE on a table: all work on it waits. A server that goes down takes it away."""
    connection = psycopg.connect(url)
    try:
        connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(Identifier(schema, table)))
        yield
    finally:
        connection.close()
