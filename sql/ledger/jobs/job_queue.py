"""Jobs on their way to workers, and what becomes of those that do not come back: the coordinator's side."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from replank.values.chunk import Chunk
from replank.values.messages import QUEUE_OF, QUEUES
from replank.values.states import JobKind, JobState, sources
from replank.values.table_spec import TableSpec
from sql.ledger.jobs.claims import bounds_json, chunk_of
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

AFTER_CRASH_S = 15.0
"""How long workers have to report their jobs, before the jobs of lost workers are requeued."""


@dataclass(frozen=True, kw_only=True)
class Sendable:
    """A job on its way to the queue: ids, and the words by which an operator recognises it."""

    job_id: int
    kind: JobKind
    table_no: int
    chunk: Chunk | None
    cache: str | None = None
    sends: int = 1
    """How often it has been sent since it began to wait, this time included."""


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
        {"axis": str(chunk.axis), **bounds_json(chunk), "detail": dict(chunk_detail or {})} for chunk in chunks
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
    parts: int = 1,
    places: int = 1,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Cut `[0, heap_blocks)` into jobs of `chunk_blocks`, in one statement.

    Where a single block is too much, `chunk_blocks` is 1, and each block is `parts` jobs of `places` rows' places.
    """
    connection.execute(
        query("jobs.add_heap_jobs"),
        {
            **_of(table, kind, step, generation),
            "heap_blocks": heap_blocks,
            "chunk_blocks": chunk_blocks,
            "parts": parts,
            "places": places,
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


def take_for_sending(
    connection: Connection,
    run_id: int,
    *,
    window: int,
    resend_after_s: float,
    consumed: Collection[str] = QUEUES,
    others: bool = True,
) -> list[Sendable]:
    """Mark as sent the jobs that may go to the queue now. A message that is lost is sent again later.

    The window counts jobs of the `consumed` queues; of each other queue so many are sent as the window allows, too,
    where `others` are wanted: looking for them may mean reading past all that waits.
    """
    found = rows(
        connection,
        query("jobs.take_for_sending"),
        {"run_id": run_id, "window": window, "resend_after_s": resend_after_s, "lanes": _lanes(consumed, others)},
    )
    return [
        Sendable(
            job_id=r["job_id"],
            kind=JobKind(r["kind"]),
            table_no=r["table_no"] or 0,
            chunk=chunk_of(r),
            cache=r["cache"],
            sends=r["sends"],
        )
        for r in sorted(found, key=lambda r: int(r["job_id"]))
    ]


def recall(connection: Connection, run_id: int, *, window: int, consumed: Collection[str] = QUEUES) -> None:
    """The window has shrunk: sent jobs beyond it that no worker has begun wait in the ledger again."""
    connection.execute(
        query("jobs.recall"), {"run_id": run_id, "window": window, "lanes": _lanes(consumed, others=True)}
    )


def _lanes(consumed: Collection[str], others: bool) -> Jsonb:
    """What shares a window: the kinds of jobs of all consumed queues together; those of each other queue by itself."""
    kinds: dict[str, list[str]] = {}
    for kind, queue in QUEUE_OF.items():
        kinds.setdefault("" if queue in consumed else queue, []).append(str(kind))
    lanes = [{"consumed": queue == "", "kinds": found} for queue, found in kinds.items() if others or not queue]
    return Jsonb(lanes)


def make_due(connection: Connection, run_id: int, *, queues: Collection[str]) -> None:
    """Workers for these queues have come: what was sent before waits no longer for being sent again."""
    kinds = [str(kind) for kind, queue in QUEUE_OF.items() if queue in queues]
    connection.execute(query("jobs.make_due"), {"run_id": run_id, "kinds": kinds})


def unsend(connection: Connection, job_ids: Sequence[int]) -> None:
    """The broker did not take these: they may be sent at once when it answers again."""
    connection.execute(query("jobs.unsend"), {"job_ids": list(job_ids)})


def take_back_orphans(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """Leased jobs whose backend is gone wait again: `job_id`, `worker`, `attempt`. Those of a panic cost no attempt."""
    named = {"run_id": run_id, "sources": sources(JobState.WAITING), "after_crash_s": AFTER_CRASH_S}
    return rows(connection, query("jobs.take_back_orphans"), named)


def fail_exhausted(connection: Connection, run_id: int, *, attempts: int) -> int:
    """Jobs that used up their attempts (a worker that always dies) fail. Returns how many."""
    return len(rows(connection, query("jobs.exhausted"), {"run_id": run_id, "attempts": attempts}))


def cancel(connection: Connection, table: TableSpec) -> None:
    """Waiting and failed jobs of a table whose chunks no longer exist."""
    connection.execute(
        query("jobs.cancel"),
        {"run_id": table.run_id, "table_no": table.table_no, "sources": sources(JobState.CANCELLED)},
    )
