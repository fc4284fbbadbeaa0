"""Jobs on their way to workers, and what becomes of those that do not come back: the coordinator's side."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import func, null, update

from replank.values.chunk import Chunk
from replank.values.messages import QUEUE_OF, QUEUES
from replank.values.states import JobKind, JobState, sources
from replank.values.table_spec import TableSpec
from sql.ledger.jobs.chunk_columns import ChunkColumns, bounds_json
from sql.ledger.schema.job_tables import JOB
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, among, given

AFTER_CRASH_S = 15.0
"""How long workers have to report their jobs, before the jobs of lost workers are requeued."""


@dataclass(frozen=True, kw_only=True)
class Sendable(ChunkColumns):
    """A job on its way to the queue: ids, and the words by which an operator recognises it."""

    job_id: int
    kind: JobKind
    table_no: int
    """0 where it works for a cache."""
    cache: str | None = None
    sends: int = 1
    """How often it has been sent since it began to wait, this time included."""


@dataclass(frozen=True, kw_only=True)
class Orphan:
    """A leased job that was taken from a worker that is lost."""

    job_id: int
    worker: str | None
    attempt: int


_ADD = Command("jobs.add_jobs")
_ADD_OF_HEAP = Command("jobs.add_heap_jobs")
_TAKE_FOR_SENDING = Query("jobs.take_for_sending", Sendable)
_RECALL = Command("jobs.recall")
_TAKE_BACK_ORPHANS = Query("jobs.take_back_orphans", Orphan)
_MAKE_DUE = Command(
    update(JOB)
    .values(sent_at=null(), sends=0)
    .where(
        JOB.c.run_id == given("run_id"),
        JOB.c.state == JobState.WAITING,
        JOB.c.sent_at.is_not(None),
        among(JOB.c.kind, "kinds"),
    )
)
_UNSEND = Command(
    update(JOB)
    .values(sent_at=null(), sends=func.greatest(JOB.c.sends - 1, 0))
    .where(among(JOB.c.job_id, "job_ids"), JOB.c.state == JobState.WAITING)
)
_FAIL_EXHAUSTED = Command(
    update(JOB)
    .values(
        state=JobState.FAILED,
        finished_at=func.clock_timestamp(),
        message=func.coalesce(JOB.c.message, "") + " (attempts used up)",
    )
    .where(
        JOB.c.run_id == given("run_id"),
        JOB.c.state == JobState.WAITING,
        JOB.c.attempt - JOB.c.forgiven >= given("attempts"),
    )
)
_CANCEL = Command(
    update(JOB)
    .values(state=JobState.CANCELLED, finished_at=func.clock_timestamp())
    .where(
        JOB.c.run_id == given("run_id"),
        JOB.c.table_no == given("table_no"),
        among(JOB.c.state, "sources"),
    )
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
        {"axis": str(chunk.axis), **bounds_json(chunk), "detail": dict(chunk_detail or {})} for chunk in chunks
    ]
    documents += [{"detail": dict(detail)} for detail in details]
    _ADD(connection, **_of(table, kind, step, generation), jobs=Jsonb(documents))


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
    _ADD_OF_HEAP(
        connection,
        **_of(table, kind, step, generation),
        heap_blocks=heap_blocks,
        chunk_blocks=chunk_blocks,
        parts=parts,
        places=places,
        detail=Jsonb(dict(detail or {})),
    )


def _of(table: TableSpec, kind: JobKind, step: str, generation: int) -> dict[str, Any]:
    return {
        "run_id": table.run_id,
        "table_no": table.table_no,
        "kind": kind,
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
    found = _TAKE_FOR_SENDING.all(
        connection,
        run_id=run_id,
        window=window,
        resend_after_s=resend_after_s,
        lanes=_lanes(consumed, others),
    )
    return sorted(found, key=lambda job: job.job_id)


def recall(connection: Connection, run_id: int, *, window: int, consumed: Collection[str] = QUEUES) -> None:
    """The window has shrunk: sent jobs beyond it that no worker has begun wait in the ledger again."""
    _RECALL(connection, run_id=run_id, window=window, lanes=_lanes(consumed, others=True))


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
    _MAKE_DUE(connection, run_id=run_id, kinds=kinds)


def unsend(connection: Connection, job_ids: Sequence[int]) -> None:
    """The broker did not take these: they may be sent at once when it answers again."""
    _UNSEND(connection, job_ids=list(job_ids))


def take_back_orphans(connection: Connection, run_id: int) -> list[Orphan]:
    """Leased jobs whose backend is gone wait again. Those of a panic cost no attempt."""
    return _TAKE_BACK_ORPHANS.all(
        connection, run_id=run_id, sources=sources(JobState.WAITING), after_crash_s=AFTER_CRASH_S
    )


def fail_exhausted(connection: Connection, run_id: int, *, attempts: int) -> int:
    """Jobs that used up their attempts (a worker that always dies) fail. Returns how many."""
    return _FAIL_EXHAUSTED(connection, run_id=run_id, attempts=attempts)


def cancel(connection: Connection, table: TableSpec) -> None:
    """Waiting and failed jobs of a table whose chunks no longer exist."""
    _CANCEL(connection, run_id=table.run_id, table_no=table.table_no, sources=sources(JobState.CANCELLED))
