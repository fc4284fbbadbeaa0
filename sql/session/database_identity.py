"""Which database this is, in words that every program that connects to it finds out alike."""

from __future__ import annotations

from replank.errors import NoServer
from replank.logger import Logger
from sql.session.connection import Connection, connect, value
from sql.session.database_wait import DatabaseWait
from sql.session.named_queries import query

log = Logger()

WAIT_S = 60.0


def database_identity(connection: Connection) -> str:
    """The cluster's system identifier and the database's oid: not what a URL happens to call the host."""
    return str(value(connection, query("catalogue.identity")))


def identity_of(url: str) -> str:
    """The same over a connection of its own. Raises CannotConnect."""
    with connect(url, name="identity") as connection:
        return database_identity(connection)


def identity_when_up(url: str) -> str:
    """The same, asked for a minute: programs and their database may be starting together.

    Raises CannotConnect: at once where the database refuses us, else after the minute.
    """
    wait = DatabaseWait(
        limit_s=WAIT_S,
        say=lambda error, _: log.info("waiting for the database", reason=str(error)),
        may_pass=lambda error: isinstance(error, NoServer),
    )
    return wait.until_answered(lambda: identity_of(url))
