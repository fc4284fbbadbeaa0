"""Jobs whose session was lost: what became of them, and what is done where it happens again.

A server process that is killed (the kernel's answer to a lack of memory) takes all sessions with it. The server tells
every client why, but the one whose process it was: so each worker knows whether its own job may have been to blame.
"""

from __future__ import annotations

import psycopg
import structlog
from psycopg.errors import Diagnostic

from replank.errors import ReplankError
from replank.sqlstates import Cause, states_of
from replank.wording import counted
from sql.ledger.jobs import claims, losses
from sql.ledger.jobs.claims import Failure, Job
from sql.ledger.jobs.losses import SERVER_PROCESS_LOST, Losses
from sql.rows.split import in_one_piece, may_split
from sql.session.connection import Connection, apply_settings
from workers.execution.splitting import SplitResult, leave_to_chunks, split
from workers.execution.verdict import TRIES_WHOLE, judge
from workers.kinds.table_jobs import Limits

log = structlog.get_logger()

MOST_CRASHES = 10
"""Crashes of other sessions that cost a job nothing; a server that crashes more often is the operator's."""

SERVER_LOG = (
    "the server process of this job was killed, and all other sessions were ended with it. Look into PostgreSQL's log "
    '("was terminated by signal") and the server\'s kernel log (`dmesg -T`) for "Out of memory"'
)


class Ending:
    """What the server said last of why it ends a session: an SQLSTATE, empty where it said nothing."""

    def __init__(self, connection: Connection) -> None:
        self.sqlstate = ""
        connection.add_notice_handler(self._heard)

    def _heard(self, notice: Diagnostic) -> None:
        if notice.sqlstate in states_of(Cause.ENDED):
            self.sqlstate = notice.sqlstate or ""


def failure_of(
    connection: Connection,
    job_id: int,
    error: psycopg.Error | ReplankError | SystemExit,
    *,
    job: Job | None,
    ended_by: str,
) -> tuple[Failure, bool]:
    """Why the session was lost, and whether that costs an attempt.

    `job` is the worker's claim, where it has one; `ended_by` is what the server said to the lost session.
    """
    if isinstance(error, SystemExit):
        return Failure(error_class="shutdown", sqlstate="", message="the worker was stopped"), False
    verdict = judge(error)
    if ended_by and isinstance(error, psycopg.OperationalError) and not error.sqlstate:
        words = "the server ended all sessions, because another one's process had crashed or by an immediate shutdown"
        free = losses.crashes(connection, job_id) < MOST_CRASHES
        return Failure(error_class="crash", sqlstate=ended_by, message=words), not free
    lost = isinstance(error, psycopg.OperationalError) and not error.sqlstate
    if lost and job is not None and losses.server_crashed(connection, job.started_at):
        return Failure(error_class=SERVER_PROCESS_LOST, sqlstate="", message=SERVER_LOG), True
    return verdict.failure, not verdict.stopped


def remember_lease(connection: Connection, job: Job, *, worker: str) -> None:
    """After a crash: the attempt is in the ledger. From now on this session's commits wait for the disk."""
    apply_settings(connection, {"synchronous_commit": "on"})
    losses.put_back_lease(connection, job, worker=worker)


def _write_to_disk(connection: Connection) -> None:
    """What was committed so far survives a crash that follows at once: claims and halves are known afterwards."""
    with connection.transaction():
        apply_settings(connection, {"synchronous_commit": "on"}, local=True)
        connection.execute("SELECT pg_catalog.pg_current_xact_id()")


def stop_repeating(connection: Connection, job: Job, limits: Limits) -> SplitResult | None:
    """Before a job is done again: where it has lost its session or worker too often, its halves replace it.

    What cannot be halved any more, and takes the server down with it, is the operator's. None: do it, as it is.
    Raises LeaseLost if another attempt owns the job.
    """
    if job.attempt == 1 and job.parent is None:
        return None
    _write_to_disk(connection)
    found = losses.losses(connection, job.job_id)
    if found.last is None or found.own < 1 or found.line < TRIES_WHOLE:
        return None
    if in_one_piece(job.kind, job.detail):
        return leave_to_chunks(connection, job, found.last, limits)
    came_to, key = SplitResult.ONE_ROW, None
    if may_split(job.kind, job.chunk, job.detail):
        came_to, key = split(connection, job, found.last, limits)
    if came_to in (SplitResult.SPLIT, SplitResult.MISSED):
        return came_to
    if found.last.error_class != SERVER_PROCESS_LOST or came_to is SplitResult.EMPTY:
        return None
    _fail(connection, job, found, key)
    return SplitResult.ONE_ROW


def _fail(connection: Connection, job: Job, found: Losses, key: dict[str, str] | None) -> None:
    assert found.last is not None
    row = "" if key is None else "; the row with " + ", ".join(f"{column} = {text!r}" for column, text in key.items())
    words = f"{counted(found.own, 'time')}: {found.last.message}; this job cannot be made smaller{row}"
    claims.fail(connection, job, Failure(error_class=SERVER_PROCESS_LOST, sqlstate="", message=words), row_key=key)
    log.error("job needs the operator", run=job.run_id, job=job.job_id, error_class=SERVER_PROCESS_LOST)
