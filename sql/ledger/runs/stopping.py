"""Ending what Replank's own sessions do now. No other session is ever touched.

A worker's session is known from its lease: process number and the moment the session began. The coordinator's and those
of scripts, of `finish` and of `rollback` are known by the names that `sql.session.connection` gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import errors

from replank.errors import NeedsOperator
from sql.session.connection import Connection, rows, value
from sql.session.named_queries import query

OWN_NAMES = ("replank coordinator", "replank step", "replank finish", "replank rollback")
"""Sessions that change something and are no worker's."""


def end_workers(connection: Connection, run_id: int) -> int:
    """End the sessions that work on leased jobs; their transactions leave nothing. Returns how many there were.

    Raises NeedsOperator where this role may not end them.
    """
    return _signal(connection, "terminate", rows(connection, query("restraints.at_jobs"), {"run_id": run_id}))


def stop_others(connection: Connection, since: datetime, *, hard: bool) -> int:
    """Cancel what our other sessions began before `since`; `hard` ends the sessions. Returns how many there were.

    A COMMIT that is under way is left to end by itself: it is all or nothing. Raises NeedsOperator where this role may
    not end them.
    """
    named = {"names": list(OWN_NAMES), "since": since, "hard": hard}
    return _signal(connection, "terminate" if hard else "cancel", rows(connection, query("restraints.others"), named))


def _signal(connection: Connection, how: str, sessions: Sequence[dict[str, Any]]) -> int:
    """As the role that acts, or else as the login: a role may end the sessions of roles that it is a member of."""
    for each in sessions:
        named = {"pid": each["pid"], "name": each["name"]}
        try:
            _signal_one(connection, how, named, as_login=False)
        except errors.InsufficientPrivilege:
            try:
                _signal_one(connection, how, named, as_login=True)
            except errors.InsufficientPrivilege:
                raise _may_not_signal(connection, each) from None
    return len(sessions)


def _signal_one(connection: Connection, how: str, named: dict[str, Any], *, as_login: bool) -> None:
    with connection.transaction():
        if as_login:
            connection.execute("SET LOCAL ROLE NONE")
        rows(connection, query(f"restraints.{how}"), named)


def _may_not_signal(connection: Connection, session: dict[str, Any]) -> NeedsOperator:
    who = connection.execute("SELECT session_user::text, current_user::text").fetchone()
    assert who is not None
    return NeedsOperator(
        f"No further job starts, but role {who[0]} may not end sessions of role {session['login']}. "
        f"{session['name']} (pid {session['pid']}) continues until its work ends.",
        hint=f"GRANT {session['login']} TO {who[0]}; or GRANT pg_signal_backend TO {who[1]}; lets it end them. "
        "Then run the same command again.",
    )


def still_claiming(connection: Connection, since: datetime) -> int:
    """Workers' sessions in a statement that began before `since`: it may not have seen what was said then."""
    return len(rows(connection, query("restraints.claiming"), {"since": since}))


def leased(connection: Connection, run_id: int) -> int:
    return int(value(connection, query("restraints.leased_count"), {"run_id": run_id}))
