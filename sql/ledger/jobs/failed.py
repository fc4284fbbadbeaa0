"""Failed jobs in the ledger: finding, retrying, leaving out; and what came of every attempt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from replank.values.chunk import Chunk
from replank.values.states import JobKind, JobState, sources
from sql.ledger.jobs.claims import chunk_of
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class JobStory:
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
    chunk: Chunk | None
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


def _story(r: Mapping[str, Any]) -> JobStory:
    plain = (
        "job_id",
        "parent",
        "step",
        "table_no",
        "cache_no",
        "generation",
        "attempt",
        "forgiven",
        "detail",
        "result",
    )
    times = ("worker", "started_at", "finished_at")
    known: dict[str, Any] = {name: r[name] for name in plain + times}
    known |= {name: r[name] or "" for name in ("name", "error_class", "sqlstate", "message")}
    return JobStory(**known, kind=JobKind(r["kind"]), state=JobState(r["state"]), chunk=chunk_of(r))


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
    named = {
        "run_id": run_id,
        "job_ids": None if job_ids is None else list(job_ids),
        "table_no": table_no,
        "cache_no": cache_no,
        "step": step,
        "cause": cause,
    }
    return [_story(r) for r in rows(connection, query("failed.failed_jobs"), named)]


def read_job(connection: Connection, run_id: int, job_id: int) -> JobStory | None:
    found = row(connection, query("failed.job_by_id"), {"run_id": run_id, "job_id": job_id})
    return None if found is None else _story(found)


def retry(connection: Connection, run_id: int, job_ids: Collection[int]) -> int:
    """Have these failed jobs tried again. Returns how many."""
    named = {"run_id": run_id, "job_ids": list(job_ids), "sources": sources(JobState.WAITING)}
    return len(rows(connection, query("failed.retry"), named))


def leave_out(connection: Connection, run_id: int, job_ids: Collection[int], words: str) -> int:
    """These failed jobs are skipped: they are not done any more. Returns how many."""
    named = {"run_id": run_id, "job_ids": list(job_ids), "words": words, "sources": sources(JobState.SKIPPED)}
    return len(rows(connection, query("failed.leave_out"), named))


def left_out(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """Jobs that were left out: `job`, `kind`, `state`, `table`, `reason`."""
    return rows(connection, query("failed.left_out"), {"run_id": run_id})


def attempts(connection: Connection, job_id: int) -> list[dict[str, Any]]:
    """Attempts that did not end well, of the job and of those it is a half of, oldest first."""
    return rows(connection, query("failed.attempts"), {"job_id": job_id})


def halves(connection: Connection, job_id: int) -> list[int]:
    return [r["job_id"] for r in rows(connection, query("failed.halves"), {"job_id": job_id})]


def causes(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """Why jobs failed, the most frequent first: `class`, `sqlstate`, `jobs`."""
    return rows(connection, query("failed.causes"), {"run_id": run_id})


def forgive_errors(connection: Connection, run_id: int, table_nos: Collection[int]) -> None:
    """The breaker counts no error of these tables from before now."""
    connection.execute(query("failed.forgive_errors"), {"run_id": run_id, "table_nos": list(table_nos)})


def clear_problems_of(
    connection: Connection, run_id: int, *, table_nos: Collection[int] = (), cache_nos: Collection[int] = ()
) -> None:
    """What blocks these tables, their sets, or these caches is forgotten: they are tried again."""
    named = {"run_id": run_id, "table_nos": list(table_nos), "cache_nos": list(cache_nos)}
    for name in ("failed.clear_tables", "failed.clear_sets_of", "failed.clear_caches"):
        connection.execute(query(name), named)


def tables_with_equal_errors(connection: Connection, run_id: int, *, in_a_row: int) -> list[dict[str, Any]]:
    """Tables whose last `in_a_row` endings were one error, with nothing done in between, and which are not paused."""
    return rows(connection, query("breaker.equal_errors"), {"run_id": run_id, "in_a_row": in_a_row})


def tables_over_share(connection: Connection, run_id: int, *, at_least: int, share: float) -> list[dict[str, Any]]:
    """Tables of whose jobs of one kind more than `share` failed, of `at_least` that ended; not paused yet."""
    return rows(connection, query("breaker.failed_share"), {"run_id": run_id, "at_least": at_least, "share": share})


def tables_with_many_failed(connection: Connection, run_id: int, *, most: int) -> list[dict[str, Any]]:
    """Tables of which more than `most` jobs need the operator while others wait; not paused yet."""
    return rows(connection, query("breaker.many_failed"), {"run_id": run_id, "most": most})
