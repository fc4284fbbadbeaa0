"""Signs of life of a run: what moved lately, which queues have no worker.

All of it is cheap, however many jobs there are: it may be asked for every second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, distinct, func, select, tuple_

from replank.values.messages import QUEUE_OF
from replank.values.states import JobKind, JobState
from sql.ledger.jobs.consumers import processes_by_queue
from sql.ledger.reading.surroundings import BrokerSeen, WrongLogins, read_broker, read_logins
from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.run_tables import EVENT
from sql.session.connection import Connection
from sql.session.typed_queries import Query, given

LATE_S = 5.0
"""A sent job that no worker has begun for so long is late: an idle worker takes one at once."""


@dataclass(frozen=True, kw_only=True)
class QueueSigns:
    """One queue: `processes` that take jobs from it, jobs that are `sent` and not begun, how many of these are `late`,
    and how often the one was sent that was sent most often."""

    name: str
    processes: int
    sent: int = 0
    late: int = 0
    sends: int = 0


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What the job says that failed last, and of how many `causes` there are."""

    error_class: str
    message: str
    causes: int


@dataclass(frozen=True, kw_only=True)
class Signs:
    """At `now`, by the server's clock. `finished_at` is the end of the last job that was done, None before the first;
    `moved_at` when a table changed its state or an event was written. Of the `leased` jobs `working` have a session
    that does something; the oldest has been under way for `oldest_s`."""

    now: datetime
    finished_at: datetime | None
    moved_at: datetime
    leased: int
    working: int
    oldest_s: float
    failed: int
    workers_s: float | None
    """For how long the worker process has been connected that came first."""
    failure: Failure | None
    queues: tuple[QueueSigns, ...]
    broker: BrokerSeen | None
    logins: WrongLogins | None
    held_by: str = ""
    """Which operator holds the cutover, since when and why, where one has since the run's beginning."""

    @property
    def quiet_s(self) -> float:
        """For how long nothing has ended, and no table moved."""
        newest = self.moved_at if self.finished_at is None else max(self.moved_at, self.finished_at)
        return max((self.now - newest).total_seconds(), 0.0)

    @property
    def processes(self) -> int:
        """Worker processes on the queue that has the most of them."""
        return max((queue.processes for queue in self.queues), default=0)

    def age_s(self, at: datetime) -> float:
        return max((self.now - at).total_seconds(), 0.0)


@dataclass(frozen=True, kw_only=True)
class _Lately:
    """What one statement reads of `Signs`; `oldest_s` is None where no job is leased."""

    now: datetime
    finished_at: datetime | None
    moved_at: datetime
    leased: int
    working: int
    oldest_s: float | None
    failed: int
    workers_s: float | None


@dataclass(frozen=True, kw_only=True)
class _Unclaimed:
    kind: JobKind
    sent: int
    late: int
    sends: int


@dataclass(frozen=True, kw_only=True)
class _FirstFailure:
    error_class: str
    message: str


@dataclass(frozen=True, kw_only=True)
class _HeldBy:
    actor: str
    at: datetime
    message: str


_LATELY = Query("signs.lately", _Lately)
_UNCLAIMED = Query("signs.unclaimed", _Unclaimed)
_FAILED = (JOB.c.run_id == given("run_id"), JOB.c.state == JobState.FAILED)
_FIRST_FAILURE = Query(
    select(func.coalesce(JOB.c.error_class, "").label("error_class"), func.coalesce(JOB.c.message, "").label("message"))
    .where(*_FAILED)
    .order_by(JOB.c.finished_at.desc().nulls_last(), JOB.c.job_id)
    .limit(1),
    _FirstFailure,
)
_CAUSES = Query(
    select(func.count(distinct(tuple_(JOB.c.error_class, JOB.c.sqlstate))).cast(Integer).label("n")).where(*_FAILED),
    int,
)
_HELD_BY = Query(
    select(EVENT.c.actor, EVENT.c.at, EVENT.c.message)
    .where(EVENT.c.run_id == given("run_id"), EVENT.c.kind == "hold_cutover")
    .order_by(EVENT.c.event_id.desc())
    .limit(1),
    _HeldBy,
)


def read_signs(connection: Connection, run_id: int, *, held: bool = False) -> Signs:
    """`held`: the cutover is held, so the operator who holds it is read too."""
    lately = _LATELY.only(connection, run_id=run_id)
    return Signs(
        now=lately.now,
        finished_at=lately.finished_at,
        moved_at=lately.moved_at,
        leased=lately.leased,
        working=lately.working,
        oldest_s=lately.oldest_s or 0.0,
        failed=lately.failed,
        workers_s=lately.workers_s,
        failure=_failure(connection, run_id) if lately.failed else None,
        queues=read_queues(connection, run_id, processes_by_queue(connection)),
        broker=read_broker(connection),
        logins=read_logins(connection),
        held_by=_held_by(connection, run_id) if held else "",
    )


def read_queues(connection: Connection, run_id: int, processes: Mapping[str, int]) -> tuple[QueueSigns, ...]:
    """Every queue with its `processes`, which may have been asked for already."""
    of_queue: dict[str, list[_Unclaimed]] = {}
    for kind in _UNCLAIMED.all(connection, run_id=run_id, late_s=LATE_S):
        of_queue.setdefault(QUEUE_OF[kind.kind], []).append(kind)
    return tuple(
        QueueSigns(
            name=name,
            processes=taking,
            sent=sum(kind.sent for kind in of_queue.get(name, ())),
            late=sum(kind.late for kind in of_queue.get(name, ())),
            sends=max((kind.sends for kind in of_queue.get(name, ())), default=0),
        )
        for name, taking in sorted(processes.items())
    )


def _failure(connection: Connection, run_id: int) -> Failure | None:
    """The failure that an operator reads first: of the job that failed last."""
    first = _FIRST_FAILURE.first(connection, run_id=run_id)
    if first is None:
        return None
    causes = _CAUSES.only(connection, run_id=run_id)
    return Failure(error_class=first.error_class, message=first.message, causes=causes)


def _held_by(connection: Connection, run_id: int) -> str:
    """Empty where the run began with its cutover held."""
    held = _HELD_BY.first(connection, run_id=run_id)
    if held is None:
        return ""
    why = f": {held.message}" if held.message else ""
    return f"Held by {held.actor} since {held.at:%Y-%m-%d %H:%M:%S} UTC{why}."
