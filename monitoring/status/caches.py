"""How far the caches of a run are, and how well they and the swapped tables are hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replank.values.states import CacheState
from sql.ledger.tables import cache_jobs, cache_step
from sql.ledger.tables.caches import Cache
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class CacheProgress:
    """Jobs done of jobs known by now; `before` and `after` are measurements with a `rate` of 0 to 1, or None."""

    name: str
    kind: str
    state: str
    jobs_done: int
    jobs_total: int
    rows: int
    problem: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "state": self.state,
            "jobs_done": self.jobs_done,
            "jobs_total": self.jobs_total,
            "rows": self.rows,
            "problem": self.problem,
            "hits": {"before": self.before, "after": self.after},
        }


@dataclass(frozen=True, kw_only=True)
class CachesProgress:
    """All caches of a run. `before` and `after` are those of all tables that it replaces."""

    caches: tuple[CacheProgress, ...] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None

    @property
    def under_way(self) -> bool:
        """Whether the barrier before the caches has opened, and they are not all done."""
        states = {cache.state for cache in self.caches}
        return bool(states) and states != {str(CacheState.PLANNED)} and states != {str(CacheState.DONE)}

    @property
    def unfinished(self) -> bool:
        return any(cache.state != str(CacheState.DONE) for cache in self.caches)


def caches_progress(connection: Connection, run_id: int, present: Sequence[Cache]) -> CachesProgress:
    """How far the caches of a run are."""
    counted = cache_jobs.progress(connection, run_id)
    measured = cache_step.measured(connection, run_id)
    return CachesProgress(
        caches=tuple(
            CacheProgress(
                name=cache.name,
                kind=cache.kind,
                state=str(cache.state),
                jobs_done=counted[cache.cache_no].done,
                jobs_total=counted[cache.cache_no].jobs,
                rows=counted[cache.cache_no].rows,
                problem=cache.problem,
                before=cache.measured_before,
                after=cache.measured_after,
            )
            for cache in present
        ),
        before=measured.get("before"),
        after=measured.get("after"),
    )


def rates(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """`98.2 % → 99.1 %`; a dash where there were no lookups, nothing where nothing was measured."""
    if before is None and after is None:
        return ""
    return " → ".join(
        "-" if found is None or found["rate"] is None else f"{100 * found['rate']:.1f} %" for found in (before, after)
    )
