"""Ending what Replank's own sessions do now. No other session is ever touched.

A worker's session is known from its lease: process number and the moment the session began. The coordinator's and those
of scripts, of `finish` and of `rollback` are known by the names that `sql.session.connection` gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import errors
from sqlalchemy import func, select

from replank.errors import NeedsOperator
from replank.values.states import JobState
from sql.ledger.schema.job_tables import JOB
from sql.session.connection import Connection
from sql.session.typed_queries import Query, given

OWN_NAMES = ("replank coordinator", "replank step", "replank finish", "replank rollback")
"""Sessions that change something and are no worker's."""


@dataclass(frozen=True, kw_only=True)
class _Session:
    pid: int
    name: str
    login: str | None


_AT_JOBS = Query("stopping.at_jobs", _Session)
_OTHERS = Query("stopping.others", _Session)
_TERMINATE = Query("stopping.terminate", bool)
_CANCEL = Query("stopping.cancel", bool)
_CLAIMING = Query("stopping.claiming", int)
_LEASED = Query(
    select(func.count()).select_from(JOB).where(JOB.c.run_id == given("run_id"), JOB.c.state == JobState.LEASED), int
)


def end_workers(connection: Connection, run_id: int) -> int:
    """End the sessions that work on leased jobs; their transactions leave nothing. Returns how many there were.

    Raises NeedsOperator where this role may not end them.
    """
    return _signal(connection, _TERMINATE, _AT_JOBS.all(connection, run_id=run_id))


def stop_others(connection: Connection, since: datetime, *, hard: bool) -> int:
    """Cancel what our other sessions began before `since`; `hard` ends the sessions. Returns how many there were.

    A COMMIT that is under way is left to end by itself: it is all or nothing. Raises NeedsOperator where this role may
    not end them.
    """
    sessions = _OTHERS.all(connection, names=list(OWN_NAMES), since=since, hard=hard)
    return _signal(connection, _TERMINATE if hard else _CANCEL, sessions)


def _signal(connection: Connection, signal: Query[bool], sessions: Sequence[_Session]) -> int:
    """As the role that acts, or else as the login: a role may end the sessions of roles that it is a member of."""
    for session in sessions:
        try:
            _signal_one(connection, signal, session, as_login=False)
        except errors.InsufficientPrivilege:
            try:
                _signal_one(connection, signal, session, as_login=True)
            except errors.InsufficientPrivilege:
                raise _may_not_signal(connection, session) from None
    return len(sessions)


def _signal_one(connection: Connection, signal: Query[bool], session: _Session, *, as_login: bool) -> None:
    with connection.transaction():
        if as_login:
            connection.execute("SET LOCAL ROLE NONE")
        signal.first(connection, pid=session.pid, name=session.name)


def _may_not_signal(connection: Connection, session: _Session) -> NeedsOperator:
    who = connection.execute("SELECT session_user::text, current_user::text").fetchone()
    assert who is not None
    return NeedsOperator(
        f"No further job starts, but role {who[0]} may not end sessions of role {session.login}. "
        f"{session.name} (pid {session.pid}) continues until its work ends.",
        hint=f"GRANT {session.login} TO {who[0]}; or GRANT pg_signal_backend TO {who[1]}; lets it end them. "
        "Then run the same command again.",
    )


def still_claiming(connection: Connection, since: datetime) -> int:
    """Workers' sessions in a statement that began before `since`: it may not have seen what was said then."""
    return len(_CLAIMING.all(connection, since=since))


def leased(connection: Connection, run_id: int) -> int:
    return _LEASED.only(connection, run_id=run_id)
