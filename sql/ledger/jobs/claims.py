"""A job from its claim to its end: the worker's side. `job_queue` is the coordinator's, `job_reports` reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.sql import SQL
from psycopg.types.json import Jsonb
from sqlalchemy import func, literal_column, update

from replank.values.chunk import Chunk
from replank.values.states import JobKind, JobState, RunState, sources
from sql.ledger.jobs.chunk_columns import ChunkColumns, bounds_json
from sql.ledger.runs.events import WAKE_UP
from sql.ledger.schema.job_tables import JOB
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, among, given, seconds


@dataclass(frozen=True, kw_only=True)
class Job(ChunkColumns):
    """A leased job. `attempt` is the fence: it only grows, and a later one makes this one void.

    `counted` is how many attempts count against the limit: an operator's retry begins at 0.
    """

    job_id: int
    run_id: int
    table_no: int
    """0 where it works for a cache."""
    cache_no: int | None
    """The cache that the job works for, where it works for none of the tables."""
    kind: JobKind
    generation: int
    attempt: int
    counted: int
    detail: Mapping[str, Any]
    step: str
    started_at: datetime
    parent: int | None
    """The job whose range this one has a part of."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt ended. `sqlstate` is empty where the server gave none."""

    error_class: str
    sqlstate: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a job could not be claimed, as it stands just afterwards. `held`: by a pause or a throttle."""

    state: JobState
    worker: str | None
    attempt: int
    run_state: RunState
    early: bool
    held: bool


@dataclass(frozen=True, kw_only=True)
class _Before:
    """A job's state when its end was to be written, and whether it was."""

    state: JobState
    failed: bool


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A job whose worker lost its session: its state, and whether the old session lives."""

    state: JobState
    alive: bool


_CLAIM = Query("jobs.claim", Job)
_REFUSAL = Query("jobs.refusal", Refusal)
_HOLD_LEASE = Command("jobs.hold_lease")
_GIVE_BACK = Command("jobs.give_back")
_FAIL = Command("jobs.fail")
_FAIL_LEASED = Query("jobs.fail_leased", _Before)
_SPLIT = Query("jobs.split", int)
_RESOLVE = Query("jobs.resolve_unknown_outcome", _Found)
_OF_ATTEMPT = (JOB.c.job_id == given("job_id"), JOB.c.attempt == given("attempt"))
_RENEW_LEASE = Command(
    update(JOB)
    .values(lease_until=func.clock_timestamp() + seconds("lease_s"))
    .where(*_OF_ATTEMPT, JOB.c.state == JobState.LEASED)
)
_FINISH = Command(
    update(JOB)
    .values(state=JobState.DONE, finished_at=func.clock_timestamp(), rows=given("rows"), result=given("result"))
    .where(*_OF_ATTEMPT, among(JOB.c.state, "sources"))
    .returning(literal_column(f"pg_notify('{WAKE_UP}', '')"))
)


def claim(connection: Connection, *, run_id: int, job_id: int, worker: str, lease_s: float) -> Job | None:
    """Commit a lease. None where another delivery was first, the run rests, or the window is full.

    Raises NeedsOperator where another version wrote the job: the lease is committed even so.
    """
    return _CLAIM.first(
        connection, run_id=run_id, job_id=job_id, worker=worker, lease_s=lease_s, sources=sources(JobState.LEASED)
    )


def refusal(connection: Connection, *, run_id: int, job_id: int) -> Refusal | None:
    """None where the run has no such job."""
    return _REFUSAL.first(connection, run_id=run_id, job_id=job_id)


def holds_lease(connection: Connection, job: Job, settings: Mapping[str, str]) -> bool:
    """In the job's own transaction: is the lease still ours? Row lock and `settings` last until its end."""
    return _HOLD_LEASE(connection, job_id=job.job_id, attempt=job.attempt, settings=Jsonb(dict(settings))) > 0


def renew_lease(connection: Connection, job: Job, *, lease_s: float) -> bool:
    """For work outside the database, where an idle session says nothing. False if the job was overtaken."""
    return _RENEW_LEASE(connection, job_id=job.job_id, attempt=job.attempt, lease_s=lease_s) > 0


def finish(connection: Connection, job: Job, *, rows_done: int, result: Mapping[str, Any] | None) -> bool:
    """Write "done" in the transaction that changed the data. False if the job was overtaken."""
    done = _FINISH(
        connection,
        job_id=job.job_id,
        attempt=job.attempt,
        rows=rows_done,
        result=None if result is None else Jsonb(dict(result)),
        sources=sources(JobState.DONE),
    )
    return done > 0


def give_back(
    connection: Connection, job: Job, failure: Failure, *, delay_s: float, costs_attempt: bool = True
) -> None:
    """A passing error: the job waits and is tried again after `delay_s`."""
    _GIVE_BACK(connection, **_ended(job, failure, JobState.WAITING), delay_s=delay_s, costs_attempt=costs_attempt)
    wake_up(connection)


def fail(connection: Connection, job: Job, failure: Failure, *, row_key: Mapping[str, str] | None = None) -> None:
    """The error will not pass by itself. `row_key` names the single row that the job has come down to."""
    result = None if row_key is None else Jsonb({"row": dict(row_key)})
    _FAIL(connection, **_ended(job, failure, JobState.FAILED), result=result)
    wake_up(connection)


def fail_leased(connection: Connection, *, job_id: int, worker: str, failure: Failure) -> JobState | None:
    """The job that this worker has leased needs the operator, whatever attempt it is: a bug, or no words for it.

    Returns the job's state now, which may be another one's doing; None where it is gone.
    """
    found = _FAIL_LEASED.first(
        connection,
        job_id=job_id,
        worker=worker,
        error_class=failure.error_class,
        message=failure.message,
        sources=sources(JobState.FAILED),
    )
    if found is None or not found.failed:
        return None if found is None else found.state
    wake_up(connection)
    return JobState.FAILED


def split(
    connection: Connection,
    *,
    job_id: int,
    attempt: int,
    state: JobState,
    failure: Failure | None,
    halves: Sequence[Chunk],
) -> list[int]:
    """The halves take the job's place, in one statement with its end. Returns their ids.

    None where the job is not in `state` any more, or was overtaken. `failure` is why; None keeps what is known.
    """
    return _SPLIT.all(
        connection,
        job_id=job_id,
        attempt=attempt,
        state=state,
        sources=sources(JobState.SPLIT),
        error_class=None if failure is None else failure.error_class,
        sqlstate=None if failure is None else failure.sqlstate,
        message=None if failure is None else failure.message,
        halves=Jsonb([bounds_json(chunk) for chunk in halves]),
    )


def _ended(job: Job, failure: Failure, state: JobState) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "attempt": job.attempt,
        "error_class": failure.error_class,
        "sqlstate": failure.sqlstate,
        "message": failure.message,
        "sources": sources(state),
    }


def wake_up(connection: Connection) -> None:
    """Notify the coordinator of news. A hint: it polls as well."""
    connection.execute(SQL("SELECT pg_notify({}, '')").format(WAKE_UP))


def resolve_unknown_outcome(
    connection: Connection, *, job_id: int, worker: str, failure: Failure, delay_s: float, costs_attempt: bool
) -> JobState | None:
    """What became of a job whose worker lost its session: the state that was found, leased ones wait again.

    None where another worker has it, or where the old session still lives: then the sweeper sees to it.
    """
    found = _RESOLVE.first(
        connection,
        job_id=job_id,
        worker=worker,
        error_class=failure.error_class,
        sqlstate=failure.sqlstate,
        message=failure.message,
        delay_s=delay_s,
        costs_attempt=costs_attempt,
        sources=sources(JobState.WAITING),
    )
    if found is None or (found.alive and found.state is JobState.LEASED):
        return None
    wake_up(connection)
    return found.state
