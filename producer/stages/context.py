"""What every step of the coordinator works with, and the two things that several of them do."""

from __future__ import annotations

import random
from dataclasses import dataclass

from producer.stages.shared_snapshots import SnapshotKeeper
from replank.plan.plan import OptionsPlan
from replank.values.states import JobKind
from sql.ledger.jobs import job_queue
from sql.ledger.runs.events import add_event
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """One turn of the coordinator on its connection."""

    connection: Connection
    step: str
    options: OptionsPlan
    snapshots: SnapshotKeeper
    random_source: random.Random

    def add_drain(self, table: RunTable, *, compare: bool, by_index: bool = True) -> None:
        """A job that applies the table's log; with `compare`, it compares every drained key afterwards."""
        job_queue.add_jobs(
            self.connection,
            table.spec,
            JobKind.DRAIN,
            step=self.step,
            generation=table.generation,
            details=[{"compare": compare, "by_index": by_index}],
        )

    def add_event(self, run_id: int, kind: str, subject: str, message: str) -> None:
        """An event of the run."""
        add_event(self.connection, run_id, actor="coordinator", kind=kind, subject=subject, message=message)
