"""What holds a run back: pauses and throttles of the whole run, a phase, a table or a cache."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from replank.values.states import JobState, RestraintCause, RestraintKind
from replank.wording import counted
from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.table_tables import CACHE, RESTRAINT, RUN_TABLE
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, among, given

FREED_BY = "replank resume"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a restraint holds: nothing given means the whole run, and at most one is given."""

    phase: int | None = None
    table_no: int | None = None
    cache_no: int | None = None


@dataclass(frozen=True, kw_only=True)
class Restraint:
    """One pause (`max_jobs` 0) or throttle (at most `max_jobs` at once), by whom, since when and why."""

    kind: RestraintKind
    place: Place
    name: str | None
    """The table's or cache's, where it is one's."""
    max_jobs: int
    cause: RestraintCause
    by: str
    reason: str
    since: datetime

    @property
    def scope(self) -> str:
        """For people: `the whole run`, `phase 3`, `public.orders`."""
        if self.name is not None:
            return self.name
        return "the whole run" if self.place.phase is None else f"phase {self.place.phase}"

    @property
    def freed_by(self) -> str:
        """The command that takes it away."""
        option = "" if self.name is None and self.place.phase is None else f" --table {self.name}"
        if self.place.phase is not None:
            option = f" --phase {self.place.phase}"
        return f"{FREED_BY}{option}" if self.kind == "pause" else f"replank throttle --reset{option}"

    @property
    def words(self) -> str:
        """E.g. `public.orders is paused by anna since 2026-01-02 03:04:05 UTC: too slow`."""
        what = "paused" if self.kind == "pause" else f"throttled to {counted(self.max_jobs, 'job')} at once"
        told = self.reason or ("panic" if self.cause == "panic" else "")
        why = f": {told}" if told else ""
        return f"{self.scope} is {what} by {self.by} since {self.since:%Y-%m-%d %H:%M:%S} UTC{why}"

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "scope": self.scope,
            "phase": self.place.phase,
            "table": self.name,
            "max_jobs": self.max_jobs,
            "cause": self.cause,
            "by": self.by,
            "since": self.since.isoformat(),
            "reason": self.reason,
            "freed_by": self.freed_by,
        }


@dataclass(frozen=True, kw_only=True)
class _InForce:
    kind: RestraintKind
    phase: int | None
    table_no: int | None
    cache_no: int | None
    name: str | None
    max_jobs: int
    cause: RestraintCause
    by: str
    reason: str
    since: datetime


_R, _T, _C = RESTRAINT.c, RUN_TABLE.c, CACHE.c
_RUN = _R.run_id == given("run_id")
_PLACE = (_R.phase, _R.table_no, _R.cache_no)

_NEW = insert(RESTRAINT).values(
    actor=given("by"),
    **{
        name: given(name) for name in ("run_id", "kind", "phase", "table_no", "cache_no", "max_jobs", "cause", "reason")
    },
)
_PUT = Query(
    _NEW.on_conflict_do_update(
        constraint="one_of_each_kind",
        set_={
            **{name: _NEW.excluded[name] for name in ("max_jobs", "cause", "actor", "reason")},
            "since": func.clock_timestamp(),
        },
    ).returning(_R.since),
    datetime,
)
_LIFT = Command(
    delete(RESTRAINT).where(
        _RUN, _R.kind == given("kind"), *(column.is_not_distinct_from(given(column.name)) for column in _PLACE)
    )
)
_LIFT_ALL = Command(delete(RESTRAINT).where(_RUN))
_LIFT_BREAKER = Query(
    delete(RESTRAINT).where(_RUN, _R.cause == "breaker", among(_R.table_no, "table_nos")).returning(_R.table_no),
    int,
)
_IN_FORCE = Query(
    select(
        _R.kind,
        *_PLACE,
        _R.max_jobs,
        _R.cause,
        _R.actor.label("by"),
        _R.reason,
        _R.since,
        func.coalesce(_T.schema_name + "." + _T.table_name, _C.name).label("name"),
    )
    .select_from(RESTRAINT)
    .outerjoin(RUN_TABLE, and_(_T.run_id == _R.run_id, _T.table_no == _R.table_no))
    .outerjoin(CACHE, and_(_C.run_id == _R.run_id, _C.cache_no == _R.cache_no))
    .where(_RUN)
    .order_by(func.num_nonnulls(*_PLACE), *_PLACE, _R.kind),
    _InForce,
)
_LEASED = and_(JOB.c.run_id == given("run_id"), JOB.c.state == JobState.LEASED)
_BUSY_TABLES = Query(select(JOB.c.table_no).distinct().where(_LEASED, JOB.c.table_no.is_not(None)), int)
_BUSY_CACHES = Query(select(JOB.c.cache_no).distinct().where(_LEASED, JOB.c.cache_no.is_not(None)), int)


def put(
    connection: Connection,
    run_id: int,
    place: Place,
    kind: RestraintKind,
    *,
    max_jobs: int = 0,
    cause: RestraintCause = "operator",
    by: str,
    reason: str = "",
) -> datetime:
    """Put it in force, in the place of one of its kind that is there. Returns since when it holds."""
    return _PUT.only(
        connection,
        run_id=run_id,
        **asdict(place),
        kind=kind,
        max_jobs=max_jobs,
        cause=cause,
        by=by,
        reason=reason,
    )


def lift(connection: Connection, run_id: int, place: Place, kind: RestraintKind) -> bool:
    """Take it away. False where there was none."""
    return _LIFT(connection, run_id=run_id, **asdict(place), kind=kind) > 0


def lift_all(connection: Connection, run_id: int) -> None:
    _LIFT_ALL(connection, run_id=run_id)


def lift_breaker(connection: Connection, run_id: int, table_nos: Collection[int]) -> list[int]:
    """The tables among these that a breaker had paused continue. Returns them."""
    return _LIFT_BREAKER.all(connection, run_id=run_id, table_nos=list(table_nos))


def in_force(connection: Connection, run_id: int) -> list[Restraint]:
    """Everything that holds the run back, the widest first."""
    return [
        Restraint(
            kind=each.kind,
            place=Place(phase=each.phase, table_no=each.table_no, cache_no=each.cache_no),
            name=each.name,
            max_jobs=each.max_jobs,
            cause=each.cause,
            by=each.by,
            reason=each.reason,
            since=each.since,
        )
        for each in _IN_FORCE.all(connection, run_id=run_id)
    ]


def pause_of(
    present: Sequence[Restraint], *, phase: int, table_no: int | None = None, cache_no: int | None = None
) -> Restraint | None:
    """The pause that keeps something of a phase, or of one of its tables or caches, from continuing."""
    covering = (
        r
        for r in present
        if r.kind == "pause"
        and r.place.phase in (None, phase)
        and r.place.table_no in (None, table_no)
        and r.place.cache_no in (None, cache_no)
    )
    return next(covering, None)


def busy_tables(connection: Connection, run_id: int) -> set[int]:
    """The tables that workers work on now."""
    return set(_BUSY_TABLES.all(connection, run_id=run_id))


def busy_caches(connection: Connection, run_id: int) -> set[int]:
    """The caches that workers work on now."""
    return set(_BUSY_CACHES.all(connection, run_id=run_id))
