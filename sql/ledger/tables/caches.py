"""Caches of a run in the ledger: how far each is, and what its swap waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from psycopg.types.json import Jsonb
from sqlalchemy import and_, delete, func, insert, null, select, update

from replank.errors import NeedsOperator
from replank.plan.tables.cache_plan import CachePlan
from replank.values.cache_spec import CacheSpec
from replank.values.states import CacheKind, CacheState, JobState, SwapWait, sources
from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.table_tables import CACHE
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Document, Query, among, given, seconds


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A cache of a run as the ledger has it. `built` is the table that is being filled, where it is one."""

    run_id: int
    cache_no: int
    name: str
    kind: CacheKind
    spec: CachePlan
    state: CacheState
    generation: int
    built: Annotated[CacheSpec, Document(CacheSpec.from_json)] | None
    mark_facts: Mapping[str, Sequence[str]]
    foreign_keys: Sequence[Mapping[str, Any]]
    autovacuum_before: Mapping[str, str | None] | None
    waits_for: SwapWait | None
    """Why its swap waits, though no operator is needed."""
    waits_subject: str
    """Which window that is."""
    problem: str
    blocked: bool
    attempts: int
    not_before: datetime
    measured_before: Mapping[str, Any] | None
    measured_after: Mapping[str, Any] | None
    lock_wait_ms: float | None
    lock_hold_ms: float | None

    @property
    def due(self) -> bool:
        return self.not_before <= datetime.now(UTC)


_C = CACHE.c
_RUN = _C.run_id == given("run_id")
_CACHE = and_(_RUN, _C.cache_no == given("cache_no"))
_CHANGE = update(CACHE).where(_CACHE)
_NOTHING_AWAITED = {"waits_for": None, "waits_subject": "", "problem": ""}

_ADD = Command(
    insert(CACHE).values(
        measured_before=given("measured"),
        **{name: given(name) for name in ("run_id", "cache_no", "name", "kind", "spec")},
    )
)
_DROP = Command(delete(CACHE).where(_CACHE))
_CACHES = Query(select(CACHE).where(_RUN).order_by(_C.cache_no), Cache)
_BY_NO = Query(select(CACHE).where(_CACHE), Cache)
_MOVE = Command(_CHANGE.where(among(_C.state, "sources")).values(state=given("state"), attempts=0, **_NOTHING_AWAITED))
_SET_SWAPPED = Command("caches.set_cache_swapped")
_SET_BUILT = Command(_CHANGE.values(built=given("built"), foreign_keys=given("foreign_keys")))
_SET_MARK_FACTS = Command(_CHANGE.values(mark_facts=given("mark_facts")))
_NEXT_GENERATION = Query(
    _CHANGE.values(generation=_C.generation + 1, built=null(), autovacuum_before=null()).returning(_C.generation), int
)
_CANCEL_JOBS = Command(
    update(JOB)
    .where(JOB.c.run_id == given("run_id"), JOB.c.cache_no == given("cache_no"), among(JOB.c.state, "sources"))
    .values(state=JobState.CANCELLED, finished_at=func.clock_timestamp())
)
_POSTPONE = Query(
    _CHANGE.values(
        attempts=_C.attempts + 1,
        waits_for=SwapWait.ATTEMPT,
        waits_subject="",
        problem=given("problem"),
        not_before=func.clock_timestamp() + seconds("delay_s"),
    ).returning(_C.attempts),
    int,
)
_HOLD = Command(_CHANGE.values(waits_for=given("waits_for"), waits_subject=given("subject"), problem=given("problem")))
_BLOCK = Command(_CHANGE.values(**{**_NOTHING_AWAITED, "problem": given("problem")}, blocked=True))
_SET_AUTOVACUUM_BEFORE = Command(_CHANGE.values(autovacuum_before=given("before")))
_SET_LOCK_TIMES = Command(_CHANGE.values(lock_wait_ms=given("wait_ms"), lock_hold_ms=given("hold_ms")))
_SET_MEASURED_AFTER = Command(_CHANGE.values(measured_after=given("measured")))


def add_cache(
    connection: Connection, run_id: int, cache_no: int, plan: CachePlan, measured: Mapping[str, Any] | None
) -> None:
    _ADD(
        connection,
        run_id=run_id,
        cache_no=cache_no,
        name=plan.full_name,
        kind=plan.kind,
        spec=Jsonb(plan.model_dump(mode="json", by_alias=True)),
        measured=None if measured is None else Jsonb(dict(measured)),
    )


def read_caches(connection: Connection, run_id: int) -> list[Cache]:
    return _CACHES.all(connection, run_id=run_id)


def read_cache(connection: Connection, run_id: int, cache_no: int) -> Cache:
    found = _BY_NO.first(connection, run_id=run_id, cache_no=cache_no)
    if found is None:
        raise NeedsOperator(f"Cache {cache_no} of run {run_id} is not in the ledger.")
    return found


def set_mark_facts(connection: Connection, cache: Cache, mark_facts: Mapping[str, Sequence[str]]) -> None:
    """What the marks of its sources stand on, by the source's number, in the transaction that installs them."""
    _SET_MARK_FACTS(connection, **_id(cache), mark_facts=Jsonb(dict(mark_facts)))


def drop_cache(connection: Connection, cache: Cache) -> None:
    """Forget a cache with its jobs: a corrected plan says otherwise."""
    _DROP(connection, **_id(cache))


def _id(cache: Cache) -> dict[str, int]:
    return {"run_id": cache.run_id, "cache_no": cache.cache_no}


def move_cache(connection: Connection, cache: Cache, state: CacheState) -> bool:
    """Move a cache; False where `replank.states` does not allow it from where it is."""
    return _MOVE(connection, **_id(cache), state=state, sources=sources(state)) > 0


def set_swapped(connection: Connection, cache: Cache) -> bool:
    """The swap's word. False if it was said before, or if the run is being rolled back."""
    state = CacheState.SWAPPED
    return _SET_SWAPPED(connection, **_id(cache), state=state, sources=sources(state)) > 0


def set_built(connection: Connection, cache: Cache, spec: CacheSpec, foreign_keys: Sequence[Mapping[str, Any]]) -> None:
    """The table that is being filled, and the foreign keys that it takes along."""
    _SET_BUILT(connection, **_id(cache), built=Jsonb(spec.to_json()), foreign_keys=Jsonb(list(foreign_keys)))


def next_generation(connection: Connection, cache: Cache) -> int:
    """Its contents are built again: jobs that wait are cancelled. Returns the next generation."""
    _CANCEL_JOBS(connection, **_id(cache), sources=sources(JobState.CANCELLED))
    return _NEXT_GENERATION.first(connection, **_id(cache)) or 0


def postpone_cache(connection: Connection, cache: Cache, *, delay_s: float, problem: str) -> int:
    """Try again after `delay_s`. Returns how often that was."""
    return _POSTPONE.first(connection, **_id(cache), delay_s=delay_s, problem=problem) or 0


def hold_cache(connection: Connection, cache: Cache, waits_for: SwapWait, *, subject: str, problem: str) -> None:
    """What its swap waits for, in words too; no operator is needed."""
    _HOLD(connection, **_id(cache), waits_for=waits_for, subject=subject, problem=problem)


def block_cache(connection: Connection, cache: Cache, problem: str) -> None:
    """Only the operator can let this cache continue."""
    _BLOCK(connection, **_id(cache), problem=problem)


def set_autovacuum_before(connection: Connection, cache: Cache, before: Mapping[str, str | None] | None) -> None:
    """What autovacuum_enabled was on the cache table before its swap."""
    _SET_AUTOVACUUM_BEFORE(connection, **_id(cache), before=None if before is None else Jsonb(dict(before)))


def set_lock_times(connection: Connection, cache: Cache, *, wait_ms: float, hold_ms: float) -> None:
    """How long the swap waited for and held its locks."""
    _SET_LOCK_TIMES(connection, **_id(cache), wait_ms=wait_ms, hold_ms=hold_ms)


def set_measured_after(connection: Connection, cache: Cache, measured: Mapping[str, Any] | None) -> None:
    """How well it is hit now that it is rebuilt."""
    _SET_MEASURED_AFTER(connection, **_id(cache), measured=None if measured is None else Jsonb(dict(measured)))
