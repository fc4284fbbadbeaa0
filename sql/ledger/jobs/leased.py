"""Jobs that are with workers now, or on their way to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Double, extract, func, select

from replank.values.states import JobKind, JobState
from sql.ledger.jobs.places import PLACE, WITH_PLACE
from sql.ledger.schema.job_tables import JOB
from sql.session.connection import Connection
from sql.session.typed_queries import Query, among, given, seconds


@dataclass(frozen=True, kw_only=True)
class Lease:
    """What a worker does now, and for how long it has been at it."""

    worker: str | None
    job_id: int
    kind: JobKind
    name: str
    """The table's or cache's."""
    seconds: float


_LEASES = Query(
    select(
        JOB.c.worker,
        JOB.c.job_id,
        JOB.c.kind,
        PLACE.label("name"),
        extract("epoch", func.clock_timestamp() - JOB.c.started_at).cast(Double).label("seconds"),
    )
    .select_from(WITH_PLACE)
    .where(JOB.c.run_id == given("run_id"), JOB.c.state == JobState.LEASED)
    .order_by(JOB.c.worker),
    Lease,
)
_LEASED_BY = Query(
    select(func.count()).where(JOB.c.state == JobState.LEASED, among(JOB.c.worker, "workers")),
    int,
)
_UNCLAIMED = Query(
    select(func.count()).where(
        JOB.c.state == JobState.WAITING,
        among(JOB.c.kind, "kinds"),
        JOB.c.sent_at < func.clock_timestamp() - seconds("older_than_s"),
        JOB.c.sent_at > func.clock_timestamp() - seconds("younger_than_s"),
    ),
    int,
)
_WORKING_BACKENDS = Query("jobs.own_backends", int)


def leases(connection: Connection, run_id: int) -> list[Lease]:
    """What every worker does now."""
    return _LEASES.all(connection, run_id=run_id)


def leased_by(connection: Connection, workers: Sequence[str]) -> int:
    """Jobs of any run that these workers are at."""
    return _LEASED_BY.only(connection, workers=list(workers))


def unclaimed(connection: Connection, kinds: Sequence[JobKind], *, older_than_s: float, younger_than_s: float) -> int:
    """Jobs of any run, sent more than `older_than_s` and less than `younger_than_s` ago, that no worker has claimed."""
    return _UNCLAIMED.only(connection, kinds=list(kinds), older_than_s=older_than_s, younger_than_s=younger_than_s)


def working_backends(connection: Connection, run_id: int) -> list[int]:
    """Process ids of the server's sessions that work on leased jobs of this run: our own."""
    return _WORKING_BACKENDS.all(connection, run_id=run_id)
