"""What the advice about the number of worker processes is made from, beside the status."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Double, extract, func, select

from replank.values.states import JobKind, JobState
from sql.ledger.schema.job_tables import JOB
from sql.session.connection import Connection
from sql.session.typed_queries import Query, given

AVERAGED = 20
"""Jobs whose seconds are averaged: those that were done last."""


@dataclass(frozen=True, kw_only=True)
class _Average:
    seconds: float | None


_LAST_DONE = (
    select(extract("epoch", JOB.c.finished_at - JOB.c.started_at).label("seconds"))
    .where(JOB.c.run_id == given("run_id"), JOB.c.state == JobState.DONE)
    .order_by(JOB.c.finished_at.desc())
    .limit(AVERAGED)
    .subquery("last_ones")
)
_ON_AVERAGE = Query(select(func.avg(_LAST_DONE.c.seconds).cast(Double).label("seconds")), _Average)
_UNHEARD = Query("metrics.unheard", JobKind)


def last_jobs_s(connection: Connection, run_id: int) -> float | None:
    """Seconds that each of the last jobs took on average; None before the first was done."""
    return _ON_AVERAGE.only(connection, run_id=run_id).seconds


def unheard_kind(connection: Connection, run_id: int) -> JobKind | None:
    """The kind of a job that was sent three times and never claimed, while none of its kind is or was under way."""
    return _UNHEARD.first(connection, run_id=run_id)
