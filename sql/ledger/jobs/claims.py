"""A job from its claim to its end: the worker's side. `job_queue` is the coordinator's, `job_reports` reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from replank.values.chunk import Axis, Chunk
from replank.values.states import JobKind, JobState, RunState, sources
from sql.ledger.runs.events import WAKE_UP
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class Job:
    """A leased job. `attempt` is the fence: it only grows, and a later one makes this one void.

    `counted` is how many attempts count against the limit: an operator's retry begins at 0.
    """

    job_id: int
    run_id: int
    table_no: int
    kind: JobKind
    generation: int
    attempt: int
    counted: int
    chunk: Chunk | None
    detail: Mapping[str, Any]
    cache_no: int | None = None
    """The cache that the job works for, where it works for none of the tables."""
    step: str = ""
    started_at: datetime | None = None
    parent: int | None = None
    """The job whose range this one has a part of."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt ended. `sqlstate` is empty where the server gave none."""

    error_class: str
    sqlstate: str
    message: str


def chunk_of(found: Mapping[str, Any]) -> Chunk | None:
    """The chunk of a row of the ledger; None where the job has none."""
    if found["axis"] is None:
        return None
    lower, upper = found["lower"], found["upper"]
    return Chunk(
        axis=Axis(found["axis"]),
        lower=None if lower is None else tuple(lower),
        upper=None if upper is None else tuple(upper),
    )


def claim(connection: Connection, *, run_id: int, job_id: int, worker: str, lease_s: float) -> Job | None:
    """Commit a lease. None where another delivery was first, the run rests, or the window is full."""
    found = row(
        connection,
        query("jobs.claim"),
        {
            "run_id": run_id,
            "job_id": job_id,
            "worker": worker,
            "lease_s": lease_s,
            "sources": sources(JobState.LEASED),
        },
    )
    if found is None:
        return None
    return Job(
        job_id=job_id,
        run_id=run_id,
        table_no=found["table_no"] or 0,
        cache_no=found["cache_no"],
        kind=JobKind(found["kind"]),
        generation=found["generation"],
        attempt=found["attempt"],
        counted=found["attempt"] - found["forgiven"],
        chunk=chunk_of(found),
        detail=found["detail"],
        step=found["step"],
        started_at=found["started_at"],
        parent=found["parent"],
    )


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a job could not be claimed, as it stands just afterwards. `held`: by a pause or a throttle."""

    state: JobState
    worker: str | None
    attempt: int
    run_state: RunState
    early: bool
    held: bool


def refusal(connection: Connection, *, run_id: int, job_id: int) -> Refusal | None:
    """None where the run has no such job."""
    found = row(connection, query("jobs.refusal"), {"run_id": run_id, "job_id": job_id})
    if found is None:
        return None
    return Refusal(**{**found, "state": JobState(found["state"]), "run_state": RunState(found["run_state"])})


def holds_lease(connection: Connection, job: Job, settings: Mapping[str, str]) -> bool:
    """In the job's own transaction: is the lease still ours? Row lock and `settings` last until its end."""
    found = row(
        connection,
        query("jobs.hold_lease"),
        {"job_id": job.job_id, "attempt": job.attempt, "settings": Jsonb(dict(settings))},
    )
    return found is not None


def renew_lease(connection: Connection, job: Job, *, lease_s: float) -> bool:
    """For work outside the database, where an idle session says nothing. False if the job was overtaken."""
    named = {"job_id": job.job_id, "attempt": job.attempt, "lease_s": lease_s}
    return row(connection, query("jobs.renew_lease"), named) is not None


def finish(connection: Connection, job: Job, *, rows_done: int, result: Mapping[str, Any] | None) -> bool:
    """Write "done" in the transaction that changed the data."""
    found = row(
        connection,
        query("jobs.finish"),
        {
            "job_id": job.job_id,
            "attempt": job.attempt,
            "rows": rows_done,
            "result": None if result is None else Jsonb(dict(result)),
            "sources": sources(JobState.DONE),
            "wake_up": WAKE_UP,
        },
    )
    return found is not None


def give_back(
    connection: Connection, job: Job, failure: Failure, *, delay_s: float, costs_attempt: bool = True
) -> None:
    """A passing error: the job waits and is tried again after `delay_s`."""
    connection.execute(
        query("jobs.give_back"),
        {**_ended(job, failure, JobState.WAITING), "delay_s": delay_s, "costs_attempt": costs_attempt},
    )
    wake_up(connection)


def fail(connection: Connection, job: Job, failure: Failure, *, row_key: Mapping[str, str] | None = None) -> None:
    """The error will not pass by itself. `row_key` names the single row that the job has come down to."""
    result = None if row_key is None else Jsonb({"row": dict(row_key)})
    connection.execute(query("jobs.fail"), {**_ended(job, failure, JobState.FAILED), "result": result})
    wake_up(connection)


def fail_after_bug(connection: Connection, *, job_id: int, worker: str, failure: Failure) -> JobState | None:
    """A bug ended the work of this worker, whose only lease is that job's: it needs the operator.

    Returns the job's state now, which may be another one's doing; None where it is gone.
    """
    named = {
        "job_id": job_id,
        "worker": worker,
        "error_class": failure.error_class,
        "message": failure.message,
        "sources": sources(JobState.FAILED),
    }
    found = row(connection, query("jobs.fail_after_bug"), named)
    if found is None:
        return None
    if not found["failed"]:
        return JobState(found["state"])
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
    found = rows(
        connection,
        query("jobs.split"),
        {
            "job_id": job_id,
            "attempt": attempt,
            "state": str(state),
            "sources": sources(JobState.SPLIT),
            "error_class": None if failure is None else failure.error_class,
            "sqlstate": None if failure is None else failure.sqlstate,
            "message": None if failure is None else failure.message,
            "halves": Jsonb([bounds_json(chunk) for chunk in halves]),
        },
    )
    return [r["job_id"] for r in found]


def bounds_json(chunk: Chunk) -> dict[str, Any]:
    return {
        "lower": None if chunk.lower is None else list(chunk.lower),
        "upper": None if chunk.upper is None else list(chunk.upper),
    }


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
    found = row(
        connection,
        query("jobs.resolve_unknown_outcome"),
        {
            "job_id": job_id,
            "worker": worker,
            "error_class": failure.error_class,
            "sqlstate": failure.sqlstate,
            "message": failure.message,
            "delay_s": delay_s,
            "costs_attempt": costs_attempt,
            "sources": sources(JobState.WAITING),
        },
    )
    if found is None or (found["alive"] and found["state"] == JobState.LEASED):
        return None
    wake_up(connection)
    return JobState(found["state"])
