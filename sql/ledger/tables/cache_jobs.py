"""Jobs of a run's caches: what each is to do, what they have reported, and how many are left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, and_, func, literal_column, select

from replank.values.states import JobState
from sql.ledger.jobs.job_reports import Unfinished
from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.table_tables import CACHE
from sql.ledger.tables.cache_step import STEP
from sql.ledger.tables.caches import Cache
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A done job: what it was to do, and what it found; empty where that is nothing but rows."""

    detail: Mapping[str, Any]
    result: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Jobs of a cache's present generation, and the rows of those that are done."""

    cache_no: int
    jobs: int
    done: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class _Unfinished:
    cache_no: int
    running: int
    failed: int


_OF_CACHE = and_(JOB.c.run_id == CACHE.c.run_id, JOB.c.cache_no == CACHE.c.cache_no)
_UNDER_WAY = [JobState.WAITING, JobState.LEASED]
_IS_DONE = JOB.c.state == JobState.DONE

_ADD = Command("caches.add_cache_jobs")
_UNFINISHED = Query(
    select(
        CACHE.c.cache_no,
        func.count().filter(JOB.c.state.in_(_UNDER_WAY)).label("running"),
        func.count().filter(JOB.c.state == JobState.FAILED).label("failed"),
    )
    .join_from(CACHE, JOB, _OF_CACHE)
    .where(CACHE.c.run_id == given("run_id"), JOB.c.state.in_([*_UNDER_WAY, JobState.FAILED]))
    .group_by(CACHE.c.cache_no),
    _Unfinished,
)
_RESULTS = Query(
    select(JOB.c.detail, func.coalesce(JOB.c.result, literal_column("'{}'")).label("result"))
    .where(
        JOB.c.run_id == given("run_id"),
        JOB.c.cache_no == given("cache_no"),
        JOB.c.generation == given("generation"),
        _IS_DONE,
    )
    .order_by(JOB.c.job_id),
    Reported,
)
_PROGRESS = Query(
    select(
        CACHE.c.cache_no,
        func.count(JOB.c.job_id).label("jobs"),
        func.count().filter(_IS_DONE).label("done"),
        func.coalesce(func.sum(JOB.c.rows).filter(_IS_DONE), 0).cast(BigInteger).label("rows"),
    )
    .join_from(CACHE, JOB, and_(_OF_CACHE, JOB.c.generation == CACHE.c.generation), isouter=True)
    .where(CACHE.c.run_id == given("run_id"))
    .group_by(CACHE.c.cache_no),
    Counted,
)


def add(connection: Connection, cache: Cache, details: Sequence[Mapping[str, Any]]) -> None:
    """One job per detail, which says `what` it does."""
    named = {"step": STEP, "generation": cache.generation, "details": Jsonb(list(details))}
    _ADD(connection, run_id=cache.run_id, cache_no=cache.cache_no, **named)


def unfinished(connection: Connection, run_id: int) -> dict[int, Unfinished]:
    """What keeps each cache's barrier closed, by its number; one that is not in it has no unfinished job."""
    found = _UNFINISHED.all(connection, run_id=run_id)
    return {one.cache_no: Unfinished(running=one.running, failed=one.failed) for one in found}


def results(connection: Connection, cache: Cache) -> list[Reported]:
    """Of the done jobs of the cache's present generation, the oldest first."""
    return _RESULTS.all(connection, run_id=cache.run_id, cache_no=cache.cache_no, generation=cache.generation)


def progress(connection: Connection, run_id: int) -> dict[int, Counted]:
    """By cache number."""
    return {found.cache_no: found for found in _PROGRESS.all(connection, run_id=run_id)}
