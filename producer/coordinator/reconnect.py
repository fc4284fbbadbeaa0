"""Driving a run to where it settles, through lost connections."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
import structlog

from producer.coordinator.coordinator import Coordinator
from replank.errors import CannotConnect, NeedsPerson, TryAgain
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection
from sql.session.passing_errors import OF_SERVER
from sql.session.server_message import server_words

log = structlog.get_logger()


def drive_until_settled(
    open_connection: Callable[[], Connection],
    make: Callable[[Connection], Coordinator],
    *,
    patience_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Run:
    """Drive the run; after a lost connection open a new one and go on where the ledger stands.

    Raises TryAgain when the server has not come back for `patience_s`, NeedsPerson where a limit of it is in the way.
    """
    lost_since: float | None = None
    while True:
        try:
            with open_connection() as connection:
                lost_since = None
                return make(connection).drive()
        except OF_SERVER as error:
            raise NeedsPerson(
                f"The server refused: {server_words(error)}. What was done is kept: correct that, then run the same "
                "command again."
            ) from None
        except (psycopg.OperationalError, CannotConnect) as error:
            now = time.monotonic()
            lost_since = lost_since or now
            if now - lost_since > patience_s:
                raise TryAgain(
                    f"The database has not come back for {patience_s:.0f} s ({error}). Nothing is lost: run the "
                    "same command when it answers."
                ) from None
            log.info("connection lost, trying again", reason=str(error).strip())
            sleep(0.5)
