"""One leader per database: a second coordinator waits and takes over."""

from __future__ import annotations

from collections.abc import Callable

from psycopg.sql import SQL

from sql.session.connection import Connection, value
from sql.session.leader_lock import LEADER_LOCK


def try_to_lead(connection: Connection) -> bool:
    """Take the leadership for as long as this session lives. A dead leader's session frees it."""
    return bool(value(connection, SQL("SELECT pg_try_advisory_lock({})").format(LEADER_LOCK)))


def stop_leading(connection: Connection) -> None:
    """Let another session lead, while this one lives on."""
    value(connection, SQL("SELECT pg_advisory_unlock({})").format(LEADER_LOCK))


def wait_to_lead(connection: Connection, *, sleep: Callable[[float], None], say: Callable[[str], None]) -> None:
    """Lead, or wait until the present leader's session ends."""
    reported = False
    while not try_to_lead(connection):
        if not reported:
            say("another coordinator is running on this database; this one waits until it ends")
            reported = True
        sleep(0.5)
