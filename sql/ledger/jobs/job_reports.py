"""What the ledger says of jobs: what keeps barriers closed, what failed, how fast it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Double, Integer, exists, extract, func, select

from replank.values.states import JobKind, JobState
from replank.values.table_spec import TableSpec
from sql.ledger.jobs.chunk_columns import ChunkColumns
from sql.ledger.jobs.places import PLACE, WITH_PLACE
from sql.ledger.schema.job_tables import JOB
from sql.session.connection import Connection
from sql.session.typed_queries import Query, given, seconds

_OF_ROWS = (JobKind.COPY, JobKind.VERIFY, JobKind.BACKFILL)
"""Kinds of jobs that go through rows: their counts make the rate."""

_UNFINISHED = (JobState.WAITING, JobState.LEASED, JobState.FAILED)


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """What keeps a barrier closed, each counted up to 1000."""

    running: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class _UnfinishedOfTable:
    table_no: int
    running: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Of a table's last few jobs of a kind, at the mean. Both are None before the first."""

    seconds: float | None
    keys: float | None
    """For how many each was cut."""


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What a job that is done reported."""

    job_id: int
    rows: int
    detail: Mapping[str, Any]
    result: Mapping[str, Any] | None

    @property
    def document(self) -> Mapping[str, Any]:
        """Of a kind of job that always leaves a result."""
        assert self.result is not None, f"job {self.job_id} is done and left no result"
        return self.result


@dataclass(frozen=True, kw_only=True)
class FailedJob(ChunkColumns):
    """A job that needs the operator; `row` is the key of the single row that it has come down to."""

    job_id: int
    step: str
    name: str
    """The table's or cache's."""
    kind: JobKind
    attempt: int
    error_class: str | None
    sqlstate: str | None
    message: str | None
    row: Mapping[str, str] | None

    def to_json(self) -> dict[str, Any]:
        """As `failures --json` has it, with the range as `Chunk` writes it."""
        return {
            "job": self.job_id,
            "step": self.step,
            "table": self.name,
            "kind": str(self.kind),
            "attempts": self.attempt,
            "class": self.error_class,
            "sqlstate": self.sqlstate,
            "message": self.message,
            "row": self.row,
            "range": self.range,
        }


@dataclass(frozen=True, kw_only=True)
class _InState:
    state: JobState
    jobs: int


_OF_TABLE = (JOB.c.run_id == given("run_id"), JOB.c.table_no == given("table_no"))
_OF_KIND = (*_OF_TABLE, JOB.c.kind == given("kind"))
_UNFINISHED_BY_TABLE = Query("jobs.unfinished_by_table", _UnfinishedOfTable)
_UNFINISHED_OF_KIND = Query(select(JOB.c.job_id).where(*_OF_KIND, JOB.c.state.in_(_UNFINISHED)).limit(1), int)
_LATEST = (
    select(
        extract("epoch", JOB.c.finished_at - JOB.c.started_at).label("seconds"),
        JOB.c.detail["keys"].astext.cast(Integer).label("keys"),
    )
    .where(*_OF_KIND, JOB.c.state == JobState.DONE)
    .order_by(JOB.c.finished_at.desc())
    .limit(8)
    .subquery("latest")
)
_PACE = Query(
    select(
        func.avg(_LATEST.c.seconds).cast(Double).label("seconds"),
        func.avg(_LATEST.c["keys"]).cast(Double).label("keys"),
    ),
    Pace,
)
_RESULTS = Query(
    select(JOB.c.job_id, JOB.c.rows, JOB.c.detail, JOB.c.result)
    .where(*_OF_KIND, JOB.c.generation == given("generation"), JOB.c.state == JobState.DONE)
    .order_by(JOB.c.job_id),
    JobResult,
)
_DRAINED_LATELY = Query(
    select(
        exists().where(
            *_OF_TABLE,
            JOB.c.state == JobState.DONE,
            JOB.c.kind == JobKind.DRAIN,
            JOB.c.finished_at > func.clock_timestamp() - seconds("seconds"),
        )
    ),
    bool,
)
_FAILURES = Query(
    select(
        JOB.c.job_id,
        JOB.c.step,
        PLACE.label("name"),
        *(JOB.c[name] for name in ("kind", "axis", "lower", "upper", "attempt", "error_class", "sqlstate", "message")),
        JOB.c.result["row"].label("row"),
    )
    .select_from(WITH_PLACE)
    .where(JOB.c.run_id == given("run_id"), JOB.c.state == JobState.FAILED)
    .order_by(JOB.c.job_id),
    FailedJob,
)
_BY_STATE = Query(
    select(JOB.c.state, func.count().label("jobs")).where(JOB.c.run_id == given("run_id")).group_by(JOB.c.state),
    _InState,
)
_ROWS_LATELY = Query(
    select(func.coalesce(func.sum(JOB.c.rows), 0).cast(BigInteger)).where(
        JOB.c.run_id == given("run_id"),
        JOB.c.state == JobState.DONE,
        JOB.c.kind.in_(_OF_ROWS),
        # An index does not serve a clock that changes meanwhile.
        JOB.c.finished_at > func.statement_timestamp() - seconds("seconds"),
    ),
    int,
)


def unfinished(connection: Connection, run_id: int) -> dict[int, Unfinished]:
    """By table number; a table that is not in it has no unfinished job."""
    return {
        found.table_no: Unfinished(running=found.running, failed=found.failed)
        for found in _UNFINISHED_BY_TABLE.all(connection, run_id=run_id)
        if found.running or found.failed
    }


def copying(connection: Connection, table: TableSpec) -> bool:
    """Whether a copy job of the table is unfinished: a drain now could be undone by its older snapshot."""
    return is_waiting(connection, table, JobKind.COPY)


def pace(connection: Connection, table: TableSpec, kind: JobKind) -> Pace:
    """How long a table's last few jobs of a kind took, and for how many keys."""
    return _PACE.only(connection, run_id=table.run_id, table_no=table.table_no, kind=kind)


def is_waiting(connection: Connection, table: TableSpec, kind: JobKind) -> bool:
    """Whether a job of this kind is still to be done for the table."""
    found = _UNFINISHED_OF_KIND.first(connection, run_id=table.run_id, table_no=table.table_no, kind=kind)
    return found is not None


def results(connection: Connection, table: TableSpec, kind: JobKind, generation: int) -> list[JobResult]:
    """Of the done jobs of one kind and generation."""
    return _RESULTS.all(connection, run_id=table.run_id, table_no=table.table_no, kind=kind, generation=generation)


def drained_lately(connection: Connection, table: TableSpec, *, seconds: float) -> bool:
    """Whether the table was drained within the last seconds."""
    return _DRAINED_LATELY.only(connection, run_id=table.run_id, table_no=table.table_no, seconds=seconds)


def read_failures(connection: Connection, run_id: int) -> list[FailedJob]:
    """Jobs that need the operator."""
    return _FAILURES.all(connection, run_id=run_id)


def count_by_state(connection: Connection, run_id: int) -> dict[JobState, int]:
    """Every state, 0 where no job of the run is in it."""
    return dict.fromkeys(JobState, 0) | {found.state: found.jobs for found in _BY_STATE.all(connection, run_id=run_id)}


def rows_lately(connection: Connection, run_id: int, *, seconds: float) -> int:
    """Rows that copy, verify and backfill jobs finished within the last `seconds`."""
    return _ROWS_LATELY.only(connection, run_id=run_id, seconds=seconds)
