"""What waits in each queue and who takes it; and what was sent again lately, with the likely reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from replank.values.messages import QUEUE_OF, QUEUES
from replank.values.states import JobKind, JobState, ResendCause
from replank.wording import counted
from sql.ledger.jobs import resends
from sql.ledger.jobs.work import Tally
from sql.ledger.runs.restraints import Restraint
from sql.session.connection import Connection

LATELY_S = 300.0

BECAUSE: Mapping[ResendCause, str] = {
    ResendCause.NO_WORKER: (
        "no worker took jobs from their queue; nothing is lost, they start as soon as a worker does"
    ),
    ResendCause.EVICTED: (
        "the broker evicts keys when its memory is full, and messages of queued jobs with them, so the run is several "
        "times slower: CONFIG SET maxmemory-policy noeviction, or give Replank a Redis of its own"
    ),
    ResendCause.LOST: (
        "their messages were gone from the broker: it was emptied or restarted, or a worker ended with them; if this "
        "continues, give Replank a Redis of its own"
    ),
    ResendCause.BUSY: (
        "their messages still wait at the broker because all workers are busy; nothing is lost (`replank scale` starts "
        "more processes)"
    ),
    ResendCause.UNKNOWN: "the broker did not say which messages it holds",
}
"""What each cause means, and what to do."""

HARMLESS = frozenset({ResendCause.BUSY, ResendCause.NO_WORKER})
"""Nothing was lost, and sending again has cost no time."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One queue: connected `processes` that take jobs from it, and jobs that wait and may begin."""

    queue: str
    processes: int
    waiting: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Resent:
    """Jobs that were sent again in the last `LATELY_S` seconds, by cause, the most frequent first."""

    by_cause: Mapping[ResendCause, int] = field(default_factory=dict)

    @property
    def jobs(self) -> int:
        return sum(self.by_cause.values())

    @property
    def costs_time(self) -> bool:
        return any(cause not in HARMLESS for cause in self.by_cause)

    @property
    def words(self) -> str:
        """How many and why; empty where there were none."""
        if not self.by_cause:
            return ""
        why = "; ".join(
            f"{BECAUSE[cause]} ({jobs:,})" if len(self.by_cause) > 1 else BECAUSE[cause]
            for cause, jobs in self.by_cause.items()
        )
        jobs = counted(self.jobs, "job", "was")
        return f"{jobs} sent again in the last {LATELY_S / 60:.0f} minutes: {why}"

    def to_json(self) -> dict[str, Any]:
        causes = [
            {"cause": str(cause), "jobs": jobs, "reason": BECAUSE[cause]} for cause, jobs in self.by_cause.items()
        ]
        return {"jobs": self.jobs, "seconds": LATELY_S, "causes": causes, "words": self.words}


def waiting_by_queue(tallies: Sequence[Tally], *, paused: frozenset[int]) -> dict[str, int]:
    """Jobs of every queue that wait and may begin: those of `paused` tables (their numbers) may not."""
    waiting = dict.fromkeys(QUEUES, 0)
    for tally in tallies:
        if tally.state == JobState.WAITING and tally.table_no not in paused:
            waiting[QUEUE_OF[JobKind(tally.kind)]] += tally.jobs
    return waiting


def paused_tables(held_back: Sequence[Restraint]) -> frozenset[int]:
    """The numbers of tables whose jobs may not begin."""
    return frozenset(r.place.table_no for r in held_back if r.kind == "pause" and r.place.table_no is not None)


def read_resent(connection: Connection, run_id: int) -> Resent:
    return Resent(by_cause=resends.lately(connection, run_id, seconds=LATELY_S))
