"""What a run is doing now: one value, from the ledger alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from monitoring.status.advice import Advice
from monitoring.status.caches import CachesProgress
from monitoring.status.gates import CutoverWindow
from monitoring.status.headlines.headline import Headline
from monitoring.status.headlines.verdict import headlines
from monitoring.status.preparing import Preparing
from monitoring.status.queues import Queue, Resent
from monitoring.status.rollback_possible import RollbackFacts
from monitoring.status.status_document import status_json
from monitoring.status.table_progress import PARTS, TableProgress
from replank.values.states import JobState, RunState, TableState
from replank.values.steps import DATA_PHASE
from sql.ledger.jobs.failed import LeftOut
from sql.ledger.reading.signs import Signs
from sql.ledger.runs.gates import Gate
from sql.ledger.runs.refusals import RefusedWorker
from sql.ledger.runs.restraints import Restraint
from sql.ledger.runs.rollbacks import Rollback
from sql.ledger.runs.runs import Run
from sql.session.leader_lock import Leader

DATA_STEP = ("08-migrate-uuid-types", DATA_PHASE)


@dataclass(frozen=True, kw_only=True)
class StepProgress:
    """A step that is a script: how many of its blocks are done."""

    name: str
    phase: int
    blocks_done: int
    blocks: int
    finished: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Status:
    """A run at one moment."""

    run: Run
    tables: tuple[TableProgress, ...]
    jobs: dict[str, int]
    rate_rows_s: float
    eta_s: tuple[float, float] | None
    """Seconds of work that are left, pauses not counted; None where the run is not open or nothing is known yet."""
    sets: tuple[dict[str, Any], ...]
    caches: CachesProgress = field(default_factory=CachesProgress)
    step: tuple[str, int] = DATA_STEP
    """Name and phase of the step that is under way, or was the last one."""
    steps: tuple[StepProgress, ...] = ()
    rollback_facts: RollbackFacts | None = None
    """What reverse capture has logged since the cutover, and what is known against a rollback; None without one."""
    rollback: Rollback | None = None
    """The newest one of the run: under way, refused, or done. None where there was none."""
    gates: tuple[Gate, ...] = ()
    """As they were last checked."""
    at_barrier: bool = False
    """Whether the run has stopped before its data migration: then `replank run` continues, without `replank retry`."""
    restraints: tuple[Restraint, ...] = ()
    """What holds the run back, or a phase or table of it: who, since when, why."""
    left_out: tuple[LeftOut, ...] = ()
    """Jobs that an operator has left out for good, with the reasons."""
    cutover_window: CutoverWindow | None = None
    """Whether tables may be swapped now; None where the plan has no windows, or none is waited for."""
    leader: Leader | None = None
    """The coordinator or rollback that is running; None where there is none."""
    workers: Advice | None = None
    """How many worker processes are there and how many would be right; None where no run is open."""
    queues: tuple[Queue, ...] = ()
    """What waits in each queue, and how many processes take jobs from it."""
    resent: Resent = field(default_factory=Resent)
    """What was sent again lately, and why."""
    refused: tuple[RefusedWorker, ...] = ()
    """Workers whose database role has no right to work, with the GRANT that it needs."""
    already: tuple[tuple[str, str], ...] = ()
    """What of the plan was there before the run: the object, and in words how it was."""
    signs: Signs | None = None
    """What moved lately, who takes jobs, and what was seen of the broker; None of a run whose ledger is gone."""
    database: str = ""
    host: str = ""
    """A name or folder with a port."""
    preparing: Preparing | None = None
    """Another run that has not begun yet, or died before it did; None where there is none."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether the database had all that the plan asks for when the run began."""
        return bool(self.already) and not self.tables and not self.steps and not self.caches.caches

    @property
    def headlines(self) -> list[Headline]:
        """What to know first and do next, the most urgent first. Never empty."""
        return headlines(self)

    @property
    def held(self) -> bool:
        """Whether nothing but the operator's word is missing for the cutover: what waits for it was verified.

        It stays so while a table that was verified is compared again.
        """
        if self.run.state is not RunState.RUNNING or not self.run.hold_cutover:
            return False
        waiting = {one["set"] for one in self.sets if not one["swapped"]}
        of_them = [table for table in self.tables if table.set_no in waiting]
        others = [table for table in self.tables if table.set_no not in waiting]
        return (
            bool(of_them)
            and all(_is_verified(table) for table in of_them)
            and all(table.state == str(TableState.DONE) for table in others)
        )

    @property
    def share(self) -> float:
        """Of the work on all tables, 0 to 1: larger tables count more."""
        return self._weighed(lambda table: table.share)

    @property
    def parts(self) -> dict[str, float]:
        """What the share is made of: its sum is the share."""
        return {name: self._weighed(lambda t, name=name: t.parts.get(name, 0.0)) for name in PARTS}  # type: ignore[misc]

    @property
    def behind(self) -> dict[str, float]:
        """How much of all tables is copied, indexed, verified and swapped, each 0 to 1."""
        found = {}
        for name, part in self.parts.items():
            whole = self._weighed(lambda t, name=name: t.weights.get(name, 0.0))  # type: ignore[misc]
            found[name] = part / whole if whole else 0.0
        return found

    def _weighed(self, of: Callable[[TableProgress], float]) -> float:
        """The mean of all tables by their rows."""
        weights = [max(table.rows_total, 1) for table in self.tables]
        return sum(of(t) * w for t, w in zip(self.tables, weights, strict=True)) / max(sum(weights), 1)

    @property
    def asks(self) -> str:
        """What needs the operator, in words; empty where nothing does."""
        if self.run.state is RunState.ROLLING_BACK and self.rollback is not None:
            return self.rollback.problem
        return self.run.reason if self.run.state in (RunState.NEEDS_OPERATOR, RunState.RUNNING) else ""

    @classmethod
    def of_removed(cls, run: Run) -> Status:
        """Of a run whose ledger is gone: nothing but the run as it was seen last."""
        return cls(run=run, tables=(), jobs={str(s): 0 for s in JobState}, rate_rows_s=0.0, eta_s=None, sets=())

    def to_json(self) -> dict[str, Any]:
        """The document of `status --json`."""
        return status_json(self)


def _is_verified(table: TableProgress) -> bool:
    if table.state == str(TableState.READY):
        return True
    again = table.state in (str(TableState.CATCHING_UP), str(TableState.VERIFYING))
    return again and table.verification is not None and table.verification["at"] is not None
