"""What one turn of the coordinator works from: each fact of the ledger, read once, when the turn first needs it.

What is written under a condition asks the ledger again in its own statement or under its lock; a turn that acts on what
is out of date fails there, and the next turn reads the facts again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from monitoring.status.gates import CutoverWindow
from producer.dispatch.governor import Window
from producer.scripts.planned_scripts import next_script
from producer.stages.cutover_windows import closing, window_now
from replank.values.states import RunState
from sql.ledger.jobs import job_reports
from sql.ledger.jobs.consumers import processes_by_queue
from sql.ledger.jobs.job_reports import Unfinished
from sql.ledger.runs import restraints, runs
from sql.ledger.runs.restraints import Restraint
from sql.ledger.runs.runs import Run
from sql.ledger.runs.scripts import PlannedScript
from sql.ledger.tables import cache_jobs, caches, conversion_sets, tables
from sql.ledger.tables.caches import Cache
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection


@dataclass(kw_only=True)
class Facts:
    """The facts of one turn."""

    connection: Connection
    run: Run
    """As it was when the turn began, with the window that the turn has decided on."""

    def decide(self, window: Window) -> None:
        """The turn has written down another window."""
        self.run = replace(
            self.run,
            window_now=window.now,
            window_max=window.maximum,
            window_cause=window.cause,
            window_signal=window.signal,
            window_reason=window.reason,
        )

    def move(self, state: RunState) -> None:
        """The turn has moved the run: it is not running any more."""
        self.run = replace(self.run, state=state)

    @cached_property
    def held_back(self) -> Sequence[Restraint]:
        """Pauses and throttles."""
        return restraints.in_force(self.connection, self.run.run_id)

    @cached_property
    def script(self) -> PlannedScript | None:
        """What comes before the data migration and has not ended."""
        return next_script(self.connection, self.run.run_id)

    @cached_property
    def unfinished(self) -> Mapping[int, Unfinished]:
        """What keeps the barriers of tables closed, by their numbers."""
        return job_reports.unfinished(self.connection, self.run.run_id)

    @cached_property
    def tables(self) -> Sequence[RunTable]:
        """The tables of the run.

        Read after what is unfinished: a job that found its table rewritten says so in the table before it ends, and a
        barrier that opened on an older table would not know.
        """
        _ = self.unfinished
        return tables.read_tables(self.connection, self.run.run_id)

    @cached_property
    def sets(self) -> Sequence[ConversionSet]:
        return conversion_sets.read_sets(self.connection, self.run.run_id)

    @cached_property
    def caches(self) -> Sequence[Cache]:
        """None of a plan without caches."""
        return caches.read_caches(self.connection, self.run.run_id) if self.run.plan.caches else ()

    @cached_property
    def unfinished_of_caches(self) -> Mapping[int, Unfinished]:
        return cache_jobs.unfinished(self.connection, self.run.run_id) if self.run.plan.caches else {}

    @cached_property
    def _window(self) -> tuple[CutoverWindow | None, Callable[[], bool]]:
        window = window_now(self.connection, self.run)
        # By the clock from here on, however much of the turn is over when a swap asks.
        return window, closing(window)

    @property
    def window(self) -> CutoverWindow | None:
        """Whether tables may be swapped; None where the plan has no windows."""
        return self._window[0]

    def has_closed(self) -> bool:
        """Whether the window has closed since it was read; without a query, for it is asked under the lock."""
        return self._window[1]()

    @cached_property
    def processes(self) -> Mapping[str, int]:
        """How many processes take jobs from each queue."""
        return processes_by_queue(self.connection)


def read_facts(connection: Connection, run_id: int) -> Facts:
    """The run as it is now. Raises NeedsOperator where it is gone."""
    return Facts(connection=connection, run=runs.read_run(connection, run_id))
