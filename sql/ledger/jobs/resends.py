"""Jobs that were sent again because no worker had claimed them in time: how many, and why most likely."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, func, insert, select

from replank.values.states import ResendCause
from sql.ledger.schema.job_tables import RESEND
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given, seconds


@dataclass(frozen=True, kw_only=True)
class _Resent:
    cause: ResendCause
    jobs: int


_JOBS = func.sum(RESEND.c.jobs).cast(BigInteger).label("jobs")
_KEEP = Command(insert(RESEND).values(run_id=given("run_id"), cause=given("cause"), jobs=given("jobs")))
_TOTALS = select(RESEND.c.cause, _JOBS).where(RESEND.c.run_id == given("run_id")).group_by(RESEND.c.cause)
_ALL = Query(_TOTALS, _Resent)
_LATELY = Query(
    _TOTALS.where(RESEND.c.at > func.statement_timestamp() - seconds("seconds")).order_by(_JOBS.desc(), RESEND.c.cause),
    _Resent,
)


def keep(connection: Connection, run_id: int, *, cause: ResendCause, jobs: int) -> None:
    _KEEP(connection, run_id=run_id, cause=cause, jobs=jobs)


def lately(connection: Connection, run_id: int, *, seconds: float) -> dict[ResendCause, int]:
    """Those of the last seconds, by cause, the most frequent first."""
    return {found.cause: found.jobs for found in _LATELY.all(connection, run_id=run_id, seconds=seconds)}


def totals(connection: Connection, run_id: int) -> dict[ResendCause, int]:
    """Those of the whole run; every cause, 0 where there were none."""
    found = {each.cause: each.jobs for each in _ALL.all(connection, run_id=run_id)}
    return {cause: found.get(cause, 0) for cause in ResendCause}
