"""The work of a cache's jobs: each says in its detail `what` it does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from psycopg import IsolationLevel
from psycopg.sql import SQL, Identifier

from replank.addresses.cache_address import cache_address
from replank.errors import LeaseLost, NeedsOperator, WrongUse
from replank.plan.tables.cache_plan import MaterializedViewPlan, RedisPlan
from replank.values.cache_spec import CacheSpec
from sql.caches.cache_hits import prewarm, prewarm_schema, refresh
from sql.caches.cache_marks import apply_marks
from sql.caches.cache_table import cut, fill_chunk
from sql.ledger.jobs import claims
from sql.ledger.jobs.claims import Job
from sql.ledger.tables.caches import Cache
from sql.next_table.indexes import build_index
from sql.session.connection import Connection, apply_settings
from sql.session.statements import execute
from sql.session.table_names import next_table
from workers.kinds.redis_keys import delete_keys
from workers.kinds.table_jobs import Done, Limits, fenced

RENEWALS_PER_LEASE = 4


def perform_on_cache(connection: Connection, job: Job, cache: Cache, limits: Limits, *, lease_s: float) -> Done:
    """Do the job and write "done", in one transaction where PostgreSQL has the data.

    VACUUM refuses a transaction, and a Redis has none: both may be done twice, so "done" follows in its own.
    """
    what = job.detail["what"]
    if what == "vacuum":
        apply_settings(connection, {"maintenance_work_mem": f"{limits.index_memory_mb}MB"})
        connection.execute(SQL("VACUUM (ANALYZE) {}").format(next_table(_built(cache))))
    deleted = _invalidate(connection, job, cache, lease_s) if what == "redis" else 0
    isolation = IsolationLevel.REPEATABLE_READ if what == "drain" else None
    with fenced(connection, job, limits, isolation=isolation):
        done = Done(rows=deleted) if what in ("vacuum", "redis") else IN_DATABASE[what](connection, job, cache)
        if not claims.finish(connection, job, rows_done=done.rows, result=done.result):
            raise LeaseLost(f"job {job.job_id}: attempt {job.attempt} was overtaken")
    return done


def _built(cache: Cache) -> CacheSpec:
    if cache.built is None:
        raise NeedsOperator(f"cache {cache.name}: nothing is being built; read `replank status`")
    return cache.built


def _cut(connection: Connection, _job: Job, cache: Cache) -> Done:
    return Done(rows=0, result={"bounds": cut(connection, _built(cache))})


def _fill(connection: Connection, job: Job, cache: Cache) -> Done:
    return Done(rows=fill_chunk(connection, _built(cache), job.detail))


def _index(connection: Connection, job: Job, _cache: Cache) -> Done:
    execute(connection, [build_index(job.detail["index"])])
    return Done(rows=0)


def _drain(connection: Connection, _job: Job, cache: Cache) -> Done:
    applied = apply_marks(connection, _built(cache))
    return Done(rows=applied.rows, result={"marks": applied.marks})


def _validate(connection: Connection, job: Job, _cache: Cache) -> Done:
    connection.execute(
        SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
            Identifier(job.detail["schema"], job.detail["table"]), Identifier(job.detail["name"])
        )
    )
    return Done(rows=0)


def _refresh(connection: Connection, _job: Job, cache: Cache) -> Done:
    assert isinstance(cache.spec, MaterializedViewPlan)
    refresh(connection, cache.spec.table_schema, cache.spec.name, concurrently=cache.spec.concurrently)
    return Done(rows=0)


def _prewarm(connection: Connection, job: Job, cache: Cache) -> Done:
    extension = prewarm_schema(connection)
    if extension is None:
        raise NeedsOperator(f"cache {cache.name}: the extension pg_prewarm is gone; CREATE EXTENSION pg_prewarm")
    blocks = prewarm(connection, extension, job.detail["schema"], job.detail["name"])
    return Done(rows=0, result={"blocks": blocks})


IN_DATABASE: Mapping[str, Callable[[Connection, Job, Cache], Done]] = {
    "cut": _cut,
    "fill": _fill,
    "index": _index,
    "drain": _drain,
    "validate": _validate,
    "refresh": _refresh,
    "prewarm": _prewarm,
}


def _invalidate(connection: Connection, job: Job, cache: Cache, lease_s: float) -> int:
    """Delete the keys; the session is idle meanwhile, so the lease is renewed."""
    assert isinstance(cache.spec, RedisPlan)
    try:
        address = cache_address(cache.spec.url_env, os.environ)
    except WrongUse as error:
        raise NeedsOperator(f"cache {cache.name}, in this worker: {error}. Start the workers with it.") from None
    renewed = time.monotonic()

    def still_ours() -> None:
        nonlocal renewed
        if time.monotonic() - renewed < lease_s / RENEWALS_PER_LEASE:
            return
        renewed = time.monotonic()
        if not claims.renew_lease(connection, job, lease_s=lease_s):
            raise LeaseLost(f"job {job.job_id}: attempt {job.attempt} no longer holds the lease")

    return delete_keys(address, cache.spec.pattern, rate=cache.spec.rate, still_ours=still_ours)
