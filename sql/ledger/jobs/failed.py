"""Failed jobs in the ledger: finding, retrying, leaving out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Integer, Text, func, literal_column, null, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB

from replank.values.states import JobKind, JobState, sources
from sql.ledger.jobs.places import PLACE, WITH_PLACE
from sql.ledger.jobs.story import STORY, JobStory
from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.table_tables import CACHE, CONVERSION_SET, RUN_TABLE
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, among, given


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A job that was left out of the run for good, and why."""

    job_id: int
    kind: JobKind
    state: JobState
    name: str
    """The table's or cache's."""
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "job": self.job_id,
            "kind": str(self.kind),
            "state": str(self.state),
            "table": self.name,
            "reason": self.reason,
        }


@dataclass(frozen=True, kw_only=True)
class FailureCause:
    """Why so many jobs failed; class and SQLSTATE are empty where none is known."""

    error_class: str
    sqlstate: str
    jobs: int


_RUN = JOB.c.run_id == given("run_id")
_FAILED = Query(
    STORY.where(
        _RUN,
        JOB.c.state == JobState.FAILED,
        or_(given("job_ids", ARRAY(BigInteger)).is_(None), among(JOB.c.job_id, "job_ids")),
        or_(given("table_no", Integer).is_(None), JOB.c.table_no == given("table_no")),
        or_(given("cache_no", Integer).is_(None), JOB.c.cache_no == given("cache_no")),
        or_(given("step", Text).is_(None), JOB.c.step == given("step"), JOB.c.kind == given("step")),
        or_(given("cause", Text).is_(None), JOB.c.error_class == given("cause"), JOB.c.sqlstate == given("cause")),
    ).order_by(JOB.c.job_id),
    JobStory,
)
_OF_FAILED = (_RUN, among(JOB.c.job_id, "job_ids"), JOB.c.state == JobState.FAILED, among(JOB.c.state, "sources"))
_RETRY = Command(
    update(JOB)
    .values(
        state=JobState.WAITING,
        forgiven=JOB.c.attempt,
        sent_at=null(),
        sends=0,
        not_before=func.clock_timestamp(),
    )
    .where(*_OF_FAILED)
)
_LEAVE_OUT = Command(
    update(JOB)
    .values(
        state=JobState.SKIPPED,
        finished_at=func.clock_timestamp(),
        result=func.coalesce(JOB.c.result, literal_column("'{}'", JSONB)).concat(
            func.jsonb_build_object("left_out", given("words", Text))
        ),
    )
    .where(*_OF_FAILED)
)
_LEFT_OUT = Query(
    select(
        JOB.c.job_id,
        JOB.c.kind,
        JOB.c.state,
        PLACE.label("name"),
        JOB.c.result["left_out"].astext.label("reason"),
    )
    .select_from(WITH_PLACE)
    .where(_RUN, JOB.c.state == JobState.SKIPPED)
    .order_by(JOB.c.job_id),
    LeftOut,
)
_CAUSE = (func.coalesce(JOB.c.error_class, ""), func.coalesce(JOB.c.sqlstate, ""))
_JOBS = func.count().cast(Integer).label("jobs")
_CAUSES = Query(
    select(_CAUSE[0].label("error_class"), _CAUSE[1].label("sqlstate"), _JOBS)
    .where(_RUN, JOB.c.state == JobState.FAILED)
    .group_by(*_CAUSE)
    .order_by(_JOBS.desc(), *_CAUSE),
    FailureCause,
)
_OF_TABLES = (RUN_TABLE.c.run_id == given("run_id"), among(RUN_TABLE.c.table_no, "table_nos"))
_FORGIVE_ERRORS = Command(update(RUN_TABLE).values(errors_from=func.clock_timestamp()).where(*_OF_TABLES))
_CLEAN = {"problem": "", "blocked": False, "attempts": 0, "not_before": func.clock_timestamp()}
_NOT_WAITING = {"waits_for": null(), "waits_subject": ""}
_CLEAR_TABLES = Command(
    update(RUN_TABLE).values(**_CLEAN, rounds=0, errors_from=func.clock_timestamp()).where(*_OF_TABLES)
)
_CLEAR_SETS = Command(
    update(CONVERSION_SET)
    .values(**_CLEAN, **_NOT_WAITING)
    .where(
        CONVERSION_SET.c.run_id == given("run_id"),
        CONVERSION_SET.c.set_no.in_(select(RUN_TABLE.c.set_no).where(*_OF_TABLES)),
    )
)
_CLEAR_CACHES = Command(
    update(CACHE)
    .values(**_CLEAN, **_NOT_WAITING)
    .where(CACHE.c.run_id == given("run_id"), among(CACHE.c.cache_no, "cache_nos"))
)


def read_failed(
    connection: Connection,
    run_id: int,
    *,
    job_ids: Sequence[int] | None = None,
    table_no: int | None = None,
    cache_no: int | None = None,
    step: str | None = None,
    cause: str | None = None,
) -> list[JobStory]:
    """Failed jobs, all or those asked for. `step` is a step's name or a kind of job, `cause` a class or an SQLSTATE."""
    return _FAILED.all(
        connection,
        run_id=run_id,
        job_ids=None if job_ids is None else list(job_ids),
        table_no=table_no,
        cache_no=cache_no,
        step=step,
        cause=cause,
    )


def retry(connection: Connection, run_id: int, job_ids: Collection[int]) -> int:
    """Have these failed jobs tried again, with all their attempts. Returns how many."""
    return _RETRY(connection, run_id=run_id, job_ids=list(job_ids), sources=sources(JobState.WAITING))


def leave_out(connection: Connection, run_id: int, job_ids: Collection[int], words: str) -> int:
    """These failed jobs are skipped: they are not done any more. Returns how many."""
    return _LEAVE_OUT(connection, run_id=run_id, job_ids=list(job_ids), words=words, sources=sources(JobState.SKIPPED))


def left_out(connection: Connection, run_id: int) -> list[LeftOut]:
    """Jobs that were left out."""
    return _LEFT_OUT.all(connection, run_id=run_id)


def causes(connection: Connection, run_id: int) -> list[FailureCause]:
    """Why jobs failed, the most frequent first."""
    return _CAUSES.all(connection, run_id=run_id)


def forgive_errors(connection: Connection, run_id: int, table_nos: Collection[int]) -> None:
    """The breaker counts no error of these tables from before now."""
    _FORGIVE_ERRORS(connection, run_id=run_id, table_nos=list(table_nos))


def clear_problems_of(
    connection: Connection, run_id: int, *, table_nos: Collection[int] = (), cache_nos: Collection[int] = ()
) -> None:
    """What blocks these tables, their sets, or these caches is forgotten: they are tried again."""
    _CLEAR_TABLES(connection, run_id=run_id, table_nos=list(table_nos))
    _CLEAR_SETS(connection, run_id=run_id, table_nos=list(table_nos))
    _CLEAR_CACHES(connection, run_id=run_id, cache_nos=list(cache_nos))
