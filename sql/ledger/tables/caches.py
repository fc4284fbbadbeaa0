"""Caches of a run in the ledger, and the step they are rebuilt in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from replank.errors import NeedsOperator
from replank.plan.tables.cache_plan import CachePlan
from replank.values.cache_spec import CacheSpec
from replank.values.states import CacheState, JobState, SwapWait, sources
from replank.values.steps import DATA_PHASE, PHASES
from sql.ledger.jobs.job_reports import Unfinished
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query

STEP = "10-rebuild-caches"
"""Behind the tables, in the same phase."""

_PLANS: TypeAdapter[CachePlan] = TypeAdapter(CachePlan)


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A cache of a run as the ledger has it. `built` is the table that is being filled, where it is one."""

    run_id: int
    cache_no: int
    name: str
    kind: str
    spec: CachePlan
    state: CacheState
    generation: int
    built: CacheSpec | None
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


def _cache(found: dict[str, Any]) -> Cache:
    return Cache(
        **{
            **found,
            "spec": _PLANS.validate_python(found["spec"]),
            "state": CacheState(found["state"]),
            "waits_for": found["waits_for"] and SwapWait(found["waits_for"]),
            "built": None if found["built"] is None else CacheSpec.from_json(found["built"]),
        }
    )


def add_cache(
    connection: Connection, run_id: int, cache_no: int, plan: CachePlan, measured: Mapping[str, Any] | None
) -> None:
    connection.execute(
        query("caches.add_cache"),
        {
            "run_id": run_id,
            "cache_no": cache_no,
            "name": plan.full_name,
            "kind": plan.kind,
            "spec": Jsonb(plan.model_dump(mode="json", by_alias=True)),
            "measured": None if measured is None else Jsonb(dict(measured)),
        },
    )


def read_caches(connection: Connection, run_id: int) -> list[Cache]:
    return [_cache(r) for r in rows(connection, query("caches.caches"), {"run_id": run_id})]


def read_cache(connection: Connection, run_id: int, cache_no: int) -> Cache:
    found = row(connection, query("caches.cache_by_no"), {"run_id": run_id, "cache_no": cache_no})
    if found is None:
        raise NeedsOperator(f"Cache {cache_no} of run {run_id} is not in the ledger.")
    return _cache(found)


def set_mark_facts(connection: Connection, cache: Cache, mark_facts: Mapping[str, Sequence[str]]) -> None:
    """What the marks of its sources stand on, by the source's number, in the transaction that installs them."""
    connection.execute(query("caches.set_mark_facts"), {**_id(cache), "mark_facts": Jsonb(dict(mark_facts))})


def drop_cache(connection: Connection, cache: Cache) -> None:
    """Forget a cache with its jobs: a corrected plan says otherwise."""
    connection.execute(query("caches.drop_cache"), _id(cache))


def _id(cache: Cache) -> dict[str, Any]:
    return {"run_id": cache.run_id, "cache_no": cache.cache_no}


def move_cache(connection: Connection, cache: Cache, state: CacheState) -> bool:
    """Move a cache; False where `replank.states` does not allow it from where it is."""
    named = {**_id(cache), "state": str(state), "sources": sources(state)}
    return row(connection, query("caches.set_cache_state"), named) is not None


def set_swapped(connection: Connection, cache: Cache) -> bool:
    """The swap's word. False if it was said before, or if the run is being rolled back."""
    named = {**_id(cache), "state": str(CacheState.SWAPPED), "sources": sources(CacheState.SWAPPED)}
    return row(connection, query("caches.set_cache_swapped"), named) is not None


def set_built(connection: Connection, cache: Cache, spec: CacheSpec, foreign_keys: Sequence[Mapping[str, Any]]) -> None:
    named = {**_id(cache), "built": Jsonb(spec.to_json()), "foreign_keys": Jsonb(list(foreign_keys))}
    connection.execute(query("caches.set_built"), named)


def next_generation(connection: Connection, cache: Cache) -> int:
    """Its contents are built again: jobs that wait are cancelled. Returns the next generation."""
    connection.execute(query("caches.cancel_jobs"), {**_id(cache), "sources": sources(JobState.CANCELLED)})
    found = row(connection, query("caches.next_generation"), _id(cache))
    return 0 if found is None else int(found["generation"])


def postpone_cache(connection: Connection, cache: Cache, *, delay_s: float, problem: str) -> int:
    """Try again after `delay_s`. Returns how often that was."""
    found = row(connection, query("caches.postpone_cache"), {**_id(cache), "delay_s": delay_s, "problem": problem})
    return 0 if found is None else int(found["attempts"])


def hold_cache(connection: Connection, cache: Cache, waits_for: SwapWait, *, subject: str, problem: str) -> None:
    """What its swap waits for, in words too."""
    waits = {"waits_for": str(waits_for), "subject": subject, "problem": problem}
    connection.execute(query("caches.hold_cache"), {**_id(cache), **waits})


def block_cache(connection: Connection, cache: Cache, problem: str) -> None:
    """Only the operator can let this cache continue."""
    connection.execute(query("caches.block_cache"), {**_id(cache), "problem": problem})


def set_autovacuum_before(connection: Connection, cache: Cache, before: Mapping[str, str | None] | None) -> None:
    document = None if before is None else Jsonb(dict(before))
    connection.execute(query("caches.set_cache_autovacuum"), {**_id(cache), "before": document})


def set_lock_times(connection: Connection, cache: Cache, *, wait_ms: float, hold_ms: float) -> None:
    connection.execute(query("caches.set_cache_lock_times"), {**_id(cache), "wait_ms": wait_ms, "hold_ms": hold_ms})


def set_measured_after(connection: Connection, cache: Cache, measured: Mapping[str, Any] | None) -> None:
    document = None if measured is None else Jsonb(dict(measured))
    connection.execute(query("caches.set_measured_after"), {**_id(cache), "measured": document})


def add_jobs(connection: Connection, cache: Cache, details: Sequence[Mapping[str, Any]]) -> None:
    """One job per detail, which says `what` it does."""
    named = {**_id(cache), "step": STEP, "generation": cache.generation, "details": Jsonb(list(details))}
    connection.execute(query("caches.add_cache_jobs"), named)


def unfinished(connection: Connection, run_id: int) -> dict[int, Unfinished]:
    """By cache number; a cache that is not in it has no unfinished job."""
    found = rows(connection, query("caches.unfinished_by_cache"), {"run_id": run_id})
    return {r["cache_no"]: Unfinished(running=r["running"], failed=r["failed"]) for r in found}


def results(connection: Connection, cache: Cache) -> list[dict[str, Any]]:
    """`job_id`, `rows`, `detail` and `result` of the done jobs of the cache's present generation."""
    return rows(connection, query("caches.results"), {**_id(cache), "generation": cache.generation})


def progress(connection: Connection, run_id: int) -> dict[int, dict[str, int]]:
    """By cache number: `jobs`, `done` and `rows` of its present generation."""
    return {r["cache_no"]: r for r in rows(connection, query("caches.progress"), {"run_id": run_id})}


def plan_step(connection: Connection, run_id: int, measured: Mapping[str, Any]) -> None:
    """The step of the caches begins later; `measured` is how well the tables are hit now."""
    named = {
        "run_id": run_id,
        "phase": DATA_PHASE,
        "name": PHASES[DATA_PHASE],
        "step": STEP,
        "measured": Jsonb(dict(measured)),
    }
    connection.execute(query("caches.plan_step"), named)


def start_step(connection: Connection, run_id: int) -> None:
    """The barrier before the caches has opened; nothing where that was said before."""
    connection.execute(query("caches.start_step"), {"run_id": run_id, "step": STEP})


def measure_step(connection: Connection, run_id: int, measured: Mapping[str, Any]) -> None:
    named = {"run_id": run_id, "step": STEP, "measured": Jsonb(dict(measured))}
    connection.execute(query("caches.measure_step"), named)


def measured_step(connection: Connection, run_id: int) -> Mapping[str, Any]:
    """`before` and `after` of the swapped tables, as far as they were measured."""
    found = row(connection, query("caches.measured_step"), {"run_id": run_id, "step": STEP})
    return {} if found is None else dict(found["measured"])
