"""Driving a run to where it settles, through lost connections."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
import structlog

from producer.coordinator.coordinator import Coordinator
from replank.errors import CannotConnect, NeedsOperator, TryAgain
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection
from sql.session.database_wait import DatabaseWait
from sql.session.passing_errors import OF_SERVER
from sql.session.server_message import server_words

log = structlog.get_logger()


def coordinate_until_done(
    open_connection: Callable[[], Connection],
    make: Callable[[Connection], Coordinator],
    *,
    patience_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Run:
    """Coordinate the run; after a lost connection open a new one and continue from the ledger.

    Raises TryAgain when the server has not come back for `patience_s`, NeedsOperator where a limit of it is in the way.
    """
    wait = DatabaseWait(
        limit_s=patience_s,
        say=lambda error, _: log.info("connection to the database lost; reconnecting", reason=str(error).strip()),
        may_pass=lambda error: (
            isinstance(error, (psycopg.OperationalError, CannotConnect)) and not isinstance(error, OF_SERVER)
        ),
        at_limit=lambda error: TryAgain(
            f"The database has not accepted a connection for {patience_s:.0f} s ({error}). The ledger has what was "
            "done: run the same command again when the database is up."
        ),
        pause=sleep,
    )

    def coordinate() -> Run:
        with open_connection() as connection:
            wait.answered()
            return make(connection).drive()

    try:
        return wait.until_answered(coordinate)
    except OF_SERVER as error:
        raise NeedsOperator(
            f"The server refused a statement: {server_words(error)}. What was done is kept. Correct the cause, then "
            "run the same command again."
        ) from None
