"""Which database this is, in words that every program that connects to it finds out alike."""

from __future__ import annotations

from sql.connection import Connection, connect, value
from sql.named import query


def database_identity(connection: Connection) -> str:
    """The cluster's system identifier and the database's oid: not what a URL happens to call the host."""
    return str(value(connection, query("catalogue.identity")))


def identity_of(url: str) -> str:
    """The same over a connection of its own. Raises CannotConnect."""
    with connect(url, name="identity") as connection:
        return database_identity(connection)
