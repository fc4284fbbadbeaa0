"""One job as it is shown to the operator, and what came of its attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from replank.values.states import AttemptOutcome, JobKind, JobState
from sql.ledger.jobs.chunk_columns import ChunkColumns
from sql.ledger.jobs.places import PLACE, WITH_PLACE
from sql.ledger.schema.job_tables import JOB
from sql.session.connection import Connection
from sql.session.typed_queries import Query, given


@dataclass(frozen=True, kw_only=True)
class JobStory(ChunkColumns):
    """A job as it is shown to the operator: what it is for, and its state."""

    job_id: int
    parent: int | None
    step: str
    table_no: int | None
    cache_no: int | None
    name: str
    """The table's or cache's."""
    kind: JobKind
    state: JobState
    generation: int
    attempt: int
    forgiven: int
    detail: Mapping[str, Any]
    result: Mapping[str, Any] | None
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    error_class: str
    sqlstate: str
    message: str

    @property
    def row_key(self) -> Mapping[str, str] | None:
        """The single row that the job has come down to: column → text."""
        found: Mapping[str, str] | None = (self.result or {}).get("row")
        return found


@dataclass(frozen=True, kw_only=True)
class JobAttempt:
    """An attempt that did not end well. `counts`: against the limit of attempts."""

    job_id: int
    attempt: int
    worker: str | None
    started: datetime | None
    ended: datetime
    outcome: AttemptOutcome
    counts: bool
    error_class: str
    sqlstate: str
    message: str

    def to_json(self) -> dict[str, Any]:
        return {
            "job": self.job_id,
            "attempt": self.attempt,
            "worker": self.worker,
            "started": None if self.started is None else self.started.isoformat(),
            "ended": self.ended.isoformat(),
            "outcome": self.outcome,
            "counts": self.counts,
            "class": self.error_class,
            "sqlstate": self.sqlstate,
            "message": self.message,
        }


def _or_empty(name: str) -> ColumnElement[str]:
    return func.coalesce(JOB.c[name], "").label(name)


STORY = select(
    *(JOB.c[name] for name in ("job_id", "parent", "step", "table_no", "cache_no", "kind", "state", "generation")),
    *(JOB.c[name] for name in ("attempt", "forgiven", "axis", "lower", "upper", "detail", "result")),
    *(JOB.c[name] for name in ("worker", "started_at", "finished_at")),
    *map(_or_empty, ("error_class", "sqlstate", "message")),
    PLACE.label("name"),
).select_from(WITH_PLACE)
"""The columns of a `JobStory`."""

_BY_ID = Query(STORY.where(JOB.c.run_id == given("run_id"), JOB.c.job_id == given("job_id")), JobStory)
_ATTEMPTS = Query("failed.attempts", JobAttempt)
_HALVES = Query(select(JOB.c.job_id).where(JOB.c.parent == given("job_id")).order_by(JOB.c.job_id), int)


def read_job(connection: Connection, run_id: int, job_id: int) -> JobStory | None:
    """One job of a run, whatever its state."""
    return _BY_ID.first(connection, run_id=run_id, job_id=job_id)


def attempts(connection: Connection, job_id: int) -> list[JobAttempt]:
    """Attempts that did not end well, of the job and of those it is a half of, oldest first."""
    return _ATTEMPTS.all(connection, job_id=job_id)


def halves(connection: Connection, job_id: int) -> list[int]:
    """The jobs that took a job's place."""
    return _HALVES.all(connection, job_id=job_id)
