"""A pooler between us and the server: session pooling serves, transaction and statement pooling do not.

A session of ours has settings, LISTEN, exported snapshots and transactions of several statements. Where a pooler gives
the server's connection to another client after each transaction, our settings would meet the application's statements
(`search_path`, `row_security`), and its own ours. So nothing is set before it is known what stands between.

The protocol tells: a server gives its process number when a session begins, and a pooler gives a number of its own.
Whether a session keeps its server connection is then seen by asking from two sessions in turn.
"""

from __future__ import annotations

import select
import time
from contextlib import closing
from typing import Any

import psycopg
from psycopg import pq

from replank.errors import NotAnswering, WrongUse

ROUNDS = 6
"""A pooler that hands its connections out in turn gives another one within a few statements."""

ANSWER_S = 5.0

WHICH_PROCESS = b"SELECT pg_catalog.pg_backend_pid()"

DIRECTLY = (
    "Connect to the server itself, or to a pool in session mode: for PgBouncer another port or database entry with "
    "pool_mode = session, for Supabase the session pooler or the direct connection (port 5432), for Neon the host name "
    "without `-pooler`."
)

POOL_USED_UP = "Its pool may be used up: raise its size, wait, or connect to the server itself."


def refuse_shared_connection(first: psycopg.Connection[Any], where: str) -> None:
    """Raise WrongUse where a pooler gives this session's server connection to others. Nothing has been set by then.

    `where`: the URL without its secrets. A direct connection costs one round trip, behind a pooler there are a few.
    """
    process = _server_process(first)
    if process == first.info.backend_pid:
        return
    if process is None:
        raise NotAnswering(f"{where} accepted the connection, but did not answer for {ANSWER_S:.0f} s. {POOL_USED_UP}")
    with closing(_second_session(first, where)) as second:
        if not _keeps(first, process, second):
            raise WrongUse(
                f"{where} is a pooler in transaction or statement mode: its server connections are shared with other "
                f"clients, so the settings of a migration would apply to theirs. Nothing was changed. {DIRECTLY}"
            )


def _second_session(first: psycopg.Connection[Any], where: str) -> psycopg.Connection[Any]:
    """Another one through the same pooler; without it the pooler's mode is unknown, so nothing continues."""
    try:
        return psycopg.connect(
            first.info.dsn,
            password=first.info.password,
            autocommit=True,
            application_name="replank pooler check",
            connect_timeout=int(ANSWER_S),
            prepare_threshold=None,
        )
    except psycopg.OperationalError:
        raise NotAnswering(
            f"{where} is a pooler that accepts no second session, so Replank cannot tell whether it shares its "
            f"server connections. {POOL_USED_UP}"
        ) from None


def _keeps(first: psycopg.Connection[Any], process: int | None, second: psycopg.Connection[Any]) -> bool:
    """Whether both sessions keep a server process of their own while they take turns."""
    other = None
    for _ in range(ROUNDS):
        seen = _server_process(second)
        if seen is None:
            return True  # It waits for a connection that the first session has: no other client gets that one.
        if seen == process or (other is not None and seen != other):
            return False
        other = seen
        if _server_process(first) != process:
            return False
    return True


def _server_process(connection: psycopg.Connection[Any]) -> int | None:
    """The number of the server process that answers; None if none does within five seconds.

    By libpq itself: psycopg has no bound for an answer but `statement_timeout`, which would be a setting.
    """
    protocol = connection.pgconn
    protocol.send_query(WHICH_PROCESS)
    end = time.monotonic() + ANSWER_S
    while protocol.is_busy():
        ready, _, _ = select.select([protocol.socket], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return None
        protocol.consume_input()
    found: int | None = None
    while (result := protocol.get_result()) is not None:
        if result.status == pq.ExecStatus.TUPLES_OK:
            value = result.get_value(0, 0)
            found = int(value) if value is not None else None
    return found
