"""What the run page reads of the ledger beside the status: bounded answers, however many jobs there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Double, extract, func, select

from replank.values.states import JobKind, JobState
from sql.ledger.jobs.chunk_columns import ChunkColumns
from sql.ledger.jobs.places import PLACE, WITH_PLACE
from sql.ledger.runs.history import WindowChange
from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.run_tables import WINDOW_CHANGE
from sql.session.connection import Connection, run
from sql.session.named_queries import query
from sql.session.typed_queries import Query, given


@dataclass(frozen=True, slots=True)
class CellKey:
    """Which heat map a cell belongs to. `object` is the number of a table, or minus one minus that of a cache."""

    object: int
    kind: str
    generation: int


@dataclass(frozen=True, kw_only=True)
class CellJob(ChunkColumns):
    """A job of one cell, with what its last attempt said. `total` counts the cell's jobs beyond the limit too."""

    job_id: int
    kind: JobKind
    state: JobState
    attempt: int
    rows: int
    worker: str | None
    error_class: str | None
    sqlstate: str | None
    message: str | None
    detail: Mapping[str, Any]
    row_key: Mapping[str, str] | None
    """The single row that it has come down to: column → text."""
    parent: int | None
    seconds: float | None
    total: int

    def to_json(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "kind": str(self.kind),
            "state": str(self.state),
            "range": self.range,
            "attempt": self.attempt,
            "rows": self.rows,
            "worker": self.worker,
            "error_class": self.error_class,
            "sqlstate": self.sqlstate,
            "message": self.message,
            "detail": self.detail,
            "row_key": self.row_key,
            "parent": self.parent,
            "seconds": self.seconds,
            "total": self.total,
        }


@dataclass(frozen=True, kw_only=True)
class Cause(ChunkColumns):
    """One class of error, with the first job that failed of it as the example. `objects` are tables and caches.

    `places` are documents of `table, object, kind, jobs`, where `object` is `table:3` or `cache:1`.
    """

    error_class: str
    sqlstate: str
    jobs: int
    job: int
    last_at: datetime | None
    objects: int
    places: list[Mapping[str, Any]]
    kind: JobKind
    table: str | None
    message: str | None
    attempts: int
    row_key: Mapping[str, str] | None
    """The single row that the example has come down to: column → text."""

    def to_json(self) -> dict[str, Any]:
        return {
            "class": self.error_class,
            "sqlstate": self.sqlstate,
            "jobs": self.jobs,
            "job": self.job,
            "last_at": None if self.last_at is None else self.last_at.isoformat(),
            "objects": self.objects,
            "places": self.places,
            "kind": str(self.kind),
            "table": self.table,
            "range": self.range,
            "message": self.message,
            "attempts": self.attempts,
            "row_key": self.row_key,
        }


@dataclass(frozen=True, kw_only=True)
class PresentJob(ChunkColumns):
    """A job that is under way, for so many seconds."""

    worker: str
    job_id: int
    kind: JobKind
    table: str | None
    attempt: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "worker": self.worker,
            "job_id": self.job_id,
            "kind": str(self.kind),
            "table": self.table,
            "range": self.range,
            "attempt": self.attempt,
            "seconds": round(self.seconds),
        }


_CHUNKS = Query("page.chunks", CellJob)
_CAUSES = Query("page.causes", Cause)
_PRESENT_JOBS = Query(
    select(
        JOB.c.worker,
        JOB.c.job_id,
        JOB.c.kind,
        PLACE.label("table"),
        JOB.c.axis,
        JOB.c.lower,
        JOB.c.upper,
        JOB.c.attempt,
        extract("epoch", func.clock_timestamp() - JOB.c.started_at).cast(Double).label("seconds"),
    )
    .select_from(WITH_PLACE)
    .where(JOB.c.run_id == given("run_id"), JOB.c.state == JobState.LEASED)
    .order_by(JOB.c.worker, JOB.c.job_id)
    .limit(given("limit")),
    PresentJob,
)
_NEWEST_CHANGES = (
    select(WINDOW_CHANGE.c.at, WINDOW_CHANGE.c.now, WINDOW_CHANGE.c.maximum, WINDOW_CHANGE.c.reason)
    .where(WINDOW_CHANGE.c.run_id == given("run_id"))
    .order_by(WINDOW_CHANGE.c.at.desc())
    .limit(given("limit"))
    .subquery("newest")
)
_WINDOW_LATELY = Query(select(_NEWEST_CHANGES).order_by(_NEWEST_CHANGES.c.at), WindowChange)


def read_cells(connection: Connection, run_id: int, *, width: int) -> dict[CellKey, list[tuple[int, ...]]]:
    """Jobs in cells of `width` ids each, in the order of cutting.

    Each is first and last job (halves count as the job that they come from), then `jobs, done, running, failed,
    skipped, again, split, retried`: `again` waits after an attempt, `retried` is done and took more than
    one, `jobs` counts the split ones too. Plain tuples: there are thousands.
    """
    found: dict[CellKey, list[tuple[int, ...]]] = {}
    asked = run(connection, query("page.cells"), {"run_id": run_id, "width": width}).fetchall()
    for object_no, kind, generation, *counts in sorted(asked, key=itemgetter(0, 1, 2, 3, 4)):
        # The number of the cell and its own job were for the order only.
        found.setdefault(CellKey(object_no, kind, generation), []).append(tuple(counts[2:]))
    return found


def read_chunks(
    connection: Connection,
    run_id: int,
    *,
    kind: str,
    table_no: int | None,
    cache_no: int | None,
    first: int,
    last: int,
    limit: int,
) -> list[CellJob]:
    """The jobs of one cell, what went wrong first."""
    return _CHUNKS.all(
        connection,
        run_id=run_id,
        kind=kind,
        table_no=table_no,
        cache_no=cache_no,
        first=first,
        last=last,
        limit=limit,
    )


def read_causes(connection: Connection, run_id: int, *, limit: int) -> list[Cause]:
    """Failed jobs by class and SQLSTATE, those that failed last first."""
    return _CAUSES.all(connection, run_id=run_id, limit=limit)


def read_present_jobs(connection: Connection, run_id: int, *, limit: int) -> list[PresentJob]:
    """What every worker does now."""
    return _PRESENT_JOBS.all(connection, run_id=run_id, limit=limit)


def read_window_lately(connection: Connection, run_id: int, *, limit: int) -> list[WindowChange]:
    """The newest decisions of the governor, oldest first."""
    return _WINDOW_LATELY.all(connection, run_id=run_id, limit=limit)
