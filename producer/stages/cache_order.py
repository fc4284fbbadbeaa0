"""In which order caches are rebuilt, and what it means for the run when one of them cannot continue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from producer.stages.can_continue import jobs_failed
from replank.values.states import CacheState
from sql.ledger.jobs.job_reports import Unfinished
from sql.ledger.tables.caches import Cache

RANK = {"table": 0, "materialized_view": 1, "prewarm": 2, "redis": 2}
"""Views read tables; what is read into memory, or put into a Redis again by the application, comes from both."""


def may_begin(cache: Cache, everyone: Sequence[Cache]) -> bool:
    """Whether all that it may read is rebuilt: caches of an earlier rank, and those that `after` names."""
    after = {*cache.spec.after, *(f"public.{name}" for name in cache.spec.after)}
    before = (other for other in everyone if RANK[other.kind] < RANK[cache.kind] or other.name in after)
    return all(other.state is CacheState.DONE for other in before)


def caches_can_continue(everyone: Sequence[Cache], unfinished: Mapping[int, Unfinished], *, tables_done: bool) -> bool:
    """Whether any cache can continue without the operator."""
    if any(of.running for of in unfinished.values()):
        return True
    return tables_done and any(
        cache.state is not CacheState.DONE
        and not cache.blocked
        and cache.cache_no not in unfinished
        and may_begin(cache, everyone)
        for cache in everyone
    )


def cache_stop_reasons(everyone: Sequence[Cache], unfinished: Mapping[int, Unfinished]) -> list[str]:
    """Why the run needs the operator, cache by cache."""
    reasons = [cache.problem for cache in everyone if cache.blocked]
    return reasons + [
        f"cache {cache.name}: {jobs_failed(unfinished[cache.cache_no].failed)}, see `replank failures`"
        for cache in everyone
        if cache.cache_no in unfinished and unfinished[cache.cache_no].failed
    ]
