"""Jobs in the ledger: cutting, sending, claiming, finishing, sweeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from replank.chunk import Axis, Chunk
from replank.states import JobKind, JobState, sources
from replank.table_spec import TableSpec
from sql.connection import Connection, row, rows
from sql.ledger.runs import WAKE_UP
from sql.named import query


@dataclass(frozen=True, kw_only=True)
class Job:
    """A leased job. `attempt` is the fence: it only grows, and a later one makes this one void.

    `counted` is how many attempts count against the limit: an operator's retry begins anew.
    """

    job_id: int
    run_id: int
    table_no: int
    kind: JobKind
    generation: int
    attempt: int
    counted: int
    chunk: Chunk | None
    detail: Mapping[str, Any]
    cache_no: int | None = None
    """The cache that the job works for, where it works for none of the tables."""
    step: str = ""


@dataclass(frozen=True, kw_only=True)
class Sendable:
    """A job on its way to the queue: ids, and the words that let a person recognise it."""

    job_id: int
    kind: JobKind
    table_no: int
    chunk: Chunk | None
    cache: str | None = None


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """What keeps a barrier closed, each counted up to 1000."""

    running: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt ended. `sqlstate` is empty where the server gave none."""

    error_class: str
    sqlstate: str
    message: str


def chunk_of(found: Mapping[str, Any]) -> Chunk | None:
    """The chunk of a row of the ledger; None where the job has none."""
    if found["axis"] is None:
        return None
    lower, upper = found["lower"], found["upper"]
    return Chunk(
        axis=Axis(found["axis"]),
        lower=None if lower is None else tuple(lower),
        upper=None if upper is None else tuple(upper),
    )


def add_jobs(
    connection: Connection,
    table: TableSpec,
    kind: JobKind,
    *,
    step: str,
    generation: int,
    chunks: Sequence[Chunk] = (),
    chunk_detail: Mapping[str, Any] | None = None,
    details: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Add one job per chunk (each with `chunk_detail`), or one per detail."""
    documents: list[dict[str, Any]] = [
        {"axis": str(chunk.axis), **_bounds(chunk), "detail": dict(chunk_detail or {})} for chunk in chunks
    ]
    documents += [{"detail": dict(detail)} for detail in details]
    connection.execute(
        query("jobs.add_jobs"),
        {**_of(table, kind, step, generation), "jobs": Jsonb(documents)},
    )


def add_heap_jobs(
    connection: Connection,
    table: TableSpec,
    kind: JobKind,
    *,
    step: str,
    generation: int,
    heap_blocks: int,
    chunk_blocks: int,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Cut `[0, heap_blocks)` into jobs of `chunk_blocks`, in one statement."""
    connection.execute(
        query("jobs.add_heap_jobs"),
        {
            **_of(table, kind, step, generation),
            "heap_blocks": heap_blocks,
            "chunk_blocks": chunk_blocks,
            "detail": Jsonb(dict(detail or {})),
        },
    )


def _of(table: TableSpec, kind: JobKind, step: str, generation: int) -> dict[str, Any]:
    return {
        "run_id": table.run_id,
        "table_no": table.table_no,
        "kind": str(kind),
        "step": step,
        "generation": generation,
    }


def unfinished(connection: Connection, run_id: int) -> dict[int, Unfinished]:
    """By table number; a table that is not in it has no unfinished job."""
    found = rows(connection, query("jobs.unfinished_by_table"), {"run_id": run_id})
    return {
        r["table_no"]: Unfinished(running=r["running"], failed=r["failed"])
        for r in found
        if r["running"] or r["failed"]
    }


def copying(connection: Connection, table: TableSpec) -> bool:
    """Whether a copy job of the table is unfinished: a drain now could be undone by its older snapshot."""
    found = rows(connection, query("jobs.unfinished_copies"), {"run_id": table.run_id, "table_no": table.table_no})
    return bool(found)


def pace(connection: Connection, table: TableSpec, kind: JobKind) -> dict[str, Any]:
    """How long a table's last few jobs of a kind took, `seconds`, for how many `keys`; both None before the first."""
    found = row(
        connection,
        query("jobs.pace"),
        {"run_id": table.run_id, "table_no": table.table_no, "kind": str(kind)},
    )
    assert found is not None
    return found


def is_waiting(connection: Connection, table: TableSpec, kind: JobKind) -> bool:
    """Whether a job of this kind is still to be done for the table."""
    found = rows(
        connection,
        query("jobs.of_kind"),
        {"run_id": table.run_id, "table_no": table.table_no, "kind": str(kind)},
    )
    return bool(found)


def results(connection: Connection, table: TableSpec, kind: JobKind, generation: int) -> list[dict[str, Any]]:
    """`job_id`, `rows`, `detail` and `result` of the done jobs of one kind and generation."""
    return rows(
        connection,
        query("jobs.results"),
        {
            "run_id": table.run_id,
            "table_no": table.table_no,
            "kind": str(kind),
            "generation": generation,
        },
    )


def take_for_sending(connection: Connection, run_id: int, *, window: int, resend_after_s: float) -> list[Sendable]:
    """Mark as sent the jobs that may go to the queue now. A message that is lost is sent again later."""
    found = rows(
        connection,
        query("jobs.take_for_sending"),
        {"run_id": run_id, "window": window, "resend_after_s": resend_after_s},
    )
    return [
        Sendable(
            job_id=r["job_id"],
            kind=JobKind(r["kind"]),
            table_no=r["table_no"] or 0,
            chunk=chunk_of(r),
            cache=r["cache"],
        )
        for r in sorted(found, key=lambda r: int(r["job_id"]))
    ]


def recall(connection: Connection, run_id: int, *, window: int) -> None:
    """The window has shrunk: sent jobs beyond it that nobody has begun wait in the ledger again."""
    connection.execute(query("jobs.recall"), {"run_id": run_id, "window": window})


def unsend(connection: Connection, job_ids: Sequence[int]) -> None:
    """The broker did not take these: they may be sent at once when it answers again."""
    connection.execute(query("jobs.unsend"), {"job_ids": list(job_ids)})


def claim(connection: Connection, *, run_id: int, job_id: int, worker: str, lease_s: float) -> Job | None:
    """Commit a lease. None where another delivery was first, the run rests, or the window is full."""
    found = row(
        connection,
        query("jobs.claim"),
        {
            "run_id": run_id,
            "job_id": job_id,
            "worker": worker,
            "lease_s": lease_s,
            "sources": sources(JobState.LEASED),
        },
    )
    if found is None:
        return None
    return Job(
        job_id=job_id,
        run_id=run_id,
        table_no=found["table_no"] or 0,
        cache_no=found["cache_no"],
        kind=JobKind(found["kind"]),
        generation=found["generation"],
        attempt=found["attempt"],
        counted=found["attempt"] - found["forgiven"],
        chunk=chunk_of(found),
        detail=found["detail"],
        step=found["step"],
    )


def holds_lease(connection: Connection, job: Job, settings: Mapping[str, str]) -> bool:
    """In the job's own transaction: is the lease still ours? Row lock and `settings` last until its end."""
    found = row(
        connection,
        query("jobs.hold_lease"),
        {"job_id": job.job_id, "attempt": job.attempt, "settings": Jsonb(dict(settings))},
    )
    return found is not None


def renew_lease(connection: Connection, job: Job, *, lease_s: float) -> bool:
    """For work outside the database, where an idle session says nothing. False if the job was overtaken."""
    named = {"job_id": job.job_id, "attempt": job.attempt, "lease_s": lease_s}
    return row(connection, query("jobs.renew_lease"), named) is not None


def finish(connection: Connection, job: Job, *, rows_done: int, result: Mapping[str, Any] | None) -> bool:
    """Write "done" in the transaction that changed the data."""
    found = row(
        connection,
        query("jobs.finish"),
        {
            "job_id": job.job_id,
            "attempt": job.attempt,
            "rows": rows_done,
            "result": None if result is None else Jsonb(dict(result)),
            "sources": sources(JobState.DONE),
            "wake_up": WAKE_UP,
        },
    )
    return found is not None


def give_back(
    connection: Connection, job: Job, failure: Failure, *, delay_s: float, costs_attempt: bool = True
) -> None:
    """A passing error: the job waits and is tried again after `delay_s`."""
    connection.execute(
        query("jobs.give_back"),
        {**_ended(job, failure, JobState.WAITING), "delay_s": delay_s, "costs_attempt": costs_attempt},
    )
    wake_up(connection)


def fail(connection: Connection, job: Job, failure: Failure, *, row_key: Mapping[str, str] | None = None) -> None:
    """The error will not pass by itself. `row_key` names the single row that the job has come down to."""
    result = None if row_key is None else Jsonb({"row": dict(row_key)})
    connection.execute(query("jobs.fail"), {**_ended(job, failure, JobState.FAILED), "result": result})
    wake_up(connection)


def split(
    connection: Connection,
    *,
    job_id: int,
    attempt: int,
    state: JobState,
    failure: Failure | None,
    halves: Sequence[Chunk],
) -> list[int]:
    """The halves go on in the job's place, in one statement with its end. Returns their ids.

    None where the job is not in `state` any more, or was overtaken. `failure` is why; None keeps what is known.
    """
    found = rows(
        connection,
        query("jobs.split"),
        {
            "job_id": job_id,
            "attempt": attempt,
            "state": str(state),
            "sources": sources(JobState.SPLIT),
            "error_class": None if failure is None else failure.error_class,
            "sqlstate": None if failure is None else failure.sqlstate,
            "message": None if failure is None else failure.message,
            "halves": Jsonb([_bounds(chunk) for chunk in halves]),
        },
    )
    return [r["job_id"] for r in found]


def _bounds(chunk: Chunk) -> dict[str, Any]:
    return {
        "lower": None if chunk.lower is None else list(chunk.lower),
        "upper": None if chunk.upper is None else list(chunk.upper),
    }


def _ended(job: Job, failure: Failure, state: JobState) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "attempt": job.attempt,
        "error_class": failure.error_class,
        "sqlstate": failure.sqlstate,
        "message": failure.message,
        "sources": sources(state),
    }


def wake_up(connection: Connection) -> None:
    """Tell the coordinator that there is news. A hint: it looks by itself as well."""
    connection.execute(sql.SQL("SELECT pg_notify({}, '')").format(WAKE_UP))


def take_back_orphans(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """Leased jobs whose backend is gone wait again: `job_id`, `worker`, `attempt`. Those of a panic cost no attempt."""
    named = {"run_id": run_id, "sources": sources(JobState.WAITING)}
    return rows(connection, query("jobs.take_back_orphans"), named)


def settle_lost(
    connection: Connection, *, job_id: int, worker: str, failure: Failure, delay_s: float, costs_attempt: bool
) -> JobState | None:
    """What became of a job whose worker lost its session: the state that was found, leased ones wait again.

    None where another worker has it, or where the old session still lives: then the sweeper sees to it.
    """
    found = row(
        connection,
        query("jobs.settle_lost"),
        {
            "job_id": job_id,
            "worker": worker,
            "error_class": failure.error_class,
            "sqlstate": failure.sqlstate,
            "message": failure.message,
            "delay_s": delay_s,
            "costs_attempt": costs_attempt,
            "sources": sources(JobState.WAITING),
        },
    )
    if found is None or (found["alive"] and found["state"] == JobState.LEASED):
        return None
    wake_up(connection)
    return JobState(found["state"])


def fail_exhausted(connection: Connection, run_id: int, *, attempts: int) -> int:
    """Jobs that used up their attempts (a worker that always dies) become a person's. Returns how many."""
    return len(rows(connection, query("jobs.exhausted"), {"run_id": run_id, "attempts": attempts}))


def leased_by(connection: Connection, workers: Sequence[str]) -> int:
    """Jobs of any run that these workers are at."""
    found = row(connection, query("jobs.leased_by"), {"workers": list(workers)})
    return 0 if found is None else int(found["n"])


def drained_lately(connection: Connection, table: TableSpec, *, seconds: float) -> bool:
    """Whether the table was drained within the last seconds."""
    named = {"run_id": table.run_id, "table_no": table.table_no, "seconds": seconds}
    found = row(connection, query("jobs.drained_lately"), named)
    return found is not None and bool(found["lately"])


def cancel(connection: Connection, table: TableSpec) -> None:
    """Waiting and failed jobs of a table whose chunks no longer exist."""
    connection.execute(
        query("jobs.cancel"),
        {"run_id": table.run_id, "table_no": table.table_no, "sources": sources(JobState.CANCELLED)},
    )


def retry_failed(connection: Connection, run_id: int) -> int:
    """Have every failed job tried again. Returns how many."""
    found = rows(connection, query("jobs.retry_failed"), {"run_id": run_id, "sources": sources(JobState.WAITING)})
    return len(found)


def read_failures(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """Jobs that need a person, with class, SQLSTATE, message, and the range as `Chunk` writes it."""
    found = rows(connection, query("jobs.failures"), {"run_id": run_id})
    for failure in found:
        failure["range"] = str(chunk_of(failure) or "")
        for name in ("axis", "lower", "upper"):
            del failure[name]
    return found


def count_by_state(connection: Connection, run_id: int) -> dict[str, int]:
    found = rows(connection, query("jobs.counts"), {"run_id": run_id})
    return {str(state): 0 for state in JobState} | {r["state"]: r["n"] for r in found}


def progress(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """Per table, kind and generation: `jobs`, `done`, `rows`, and `keys` that backfill jobs have looked at."""
    return rows(connection, query("jobs.progress"), {"run_id": run_id})


def leases(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """What every worker does now."""
    return rows(connection, query("jobs.leases"), {"run_id": run_id})


def rows_lately(connection: Connection, run_id: int, *, seconds: float) -> int:
    """Rows that copy and verify jobs finished within the last `seconds`."""
    found = rows(connection, query("jobs.rate"), {"run_id": run_id, "seconds": seconds})
    return int(found[0]["rows"])


def working_backends(connection: Connection, run_id: int) -> list[int]:
    """Process ids of the server's sessions that work on leased jobs of this run: our own."""
    return [r["pid"] for r in rows(connection, query("jobs.own_backends"), {"run_id": run_id})]
