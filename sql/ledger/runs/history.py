"""What a run did and when, from the ledger: steps, rows over time, the governor's decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, func, select

from replank.values.states import JobKind, JobState
from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.run_tables import PHASE, STEP, WINDOW_CHANGE
from sql.session.connection import Connection
from sql.session.typed_queries import Query, given


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """A step and its phase; a time is None where that has not come."""

    name: str
    phase: int
    phase_name: str
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class WindowChange:
    """From `at` on, `now` of `maximum` jobs might be in flight."""

    at: datetime
    now: int
    maximum: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class WorkDone:
    """Jobs of one kind and state; `retries` are attempts after the first, None where there were none."""

    kind: JobKind
    state: JobState
    jobs: int
    rows: int
    retries: int | None


@dataclass(frozen=True, kw_only=True)
class _RowsOfSpan:
    kind: JobKind
    span: int
    rows: int


_STEPS = Query(
    select(
        STEP.c.step.label("name"),
        STEP.c.phase,
        PHASE.c.name.label("phase_name"),
        STEP.c.started_at,
        STEP.c.finished_at,
    )
    .join_from(STEP, PHASE)
    .where(STEP.c.run_id == given("run_id"))
    .order_by(STEP.c.step),
    StepTimes,
)
_ROWS_OVER_TIME = Query("history.rows_over_time", _RowsOfSpan)
_WORK = Query(
    select(
        JOB.c.kind,
        JOB.c.state,
        func.count().label("jobs"),
        func.coalesce(func.sum(JOB.c.rows), 0).cast(BigInteger).label("rows"),
        func.sum(JOB.c.attempt - 1).filter(JOB.c.attempt > 1).cast(BigInteger).label("retries"),
    )
    .where(JOB.c.run_id == given("run_id"))
    .group_by(JOB.c.kind, JOB.c.state)
    .order_by(JOB.c.kind, JOB.c.state),
    WorkDone,
)
_W = WINDOW_CHANGE.c
_WINDOW = Query(
    select(_W.at, _W.now, _W.maximum, _W.reason).where(_W.run_id == given("run_id")).order_by(_W.at), WindowChange
)


def read_steps(connection: Connection, run_id: int) -> list[StepTimes]:
    return _STEPS.all(connection, run_id=run_id)


def rows_over_time(
    connection: Connection, run_id: int, *, since: datetime, span_s: float
) -> list[tuple[JobKind, int, int]]:
    """Kind of job, number of the span since `since`, rows of the jobs that ended in it. Empty spans are left out."""
    found = _ROWS_OVER_TIME.all(connection, run_id=run_id, since=since, span_s=span_s)
    return [(each.kind, each.span, each.rows) for each in found]


def work_done(connection: Connection, run_id: int) -> list[WorkDone]:
    """All jobs, counted by kind and state."""
    return _WORK.all(connection, run_id=run_id)


def window_changes(connection: Connection, run_id: int) -> list[WindowChange]:
    """The governor's decisions, in time order."""
    return _WINDOW.all(connection, run_id=run_id)
