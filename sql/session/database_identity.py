"""Which database this is, in words that every program that connects to it finds out alike."""

from __future__ import annotations

import time

import structlog

from replank.errors import NoServer
from sql.session.connection import Connection, connect, value
from sql.session.named_queries import query

log = structlog.get_logger()

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
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return identity_of(url)
        except NoServer as error:
            if time.monotonic() > deadline:
                raise
            log.info("waiting for the database", reason=str(error))
            time.sleep(1.0)
