"""A run's rollback in the ledger: its operator, how far it is, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from replank.values.states import BEFORE_GOING_BACK, GIVEN_UP, RollbackStage, RunState
from sql.ledger.runs import runs
from sql.session.connection import Connection, row, value
from sql.session.named_queries import query

IN_WORDS = {
    RollbackStage.ENDING_JOBS: "jobs under way end",
    RollbackStage.PREPARING: "past tables are prepared",
    RollbackStage.COMPARING: "changes are drained into the past tables and compared",
    RollbackStage.SWAPPING_BACK: "tables are swapped back",
    RollbackStage.VALIDATING: "foreign keys are validated, new tables are dropped",
    RollbackStage.REMOVING: "capture, logs and next tables are removed",
    RollbackStage.UNDOING_STEPS: "rollback scripts of earlier steps run",
}


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """A run's newest one. `problem` is why it has stopped; `ended_at` is None until it is done."""

    by: str
    via: str
    began_at: datetime
    stage: RollbackStage
    subject: str
    problem: str
    ended_at: datetime | None

    @property
    def stage_words(self) -> str:
        """`stage 4 of 7: tables are swapped back (set 2)`."""
        stages = list(RollbackStage)
        of = f" ({self.subject})" if self.subject else ""
        return f"stage {stages.index(self.stage) + 1} of {len(stages)}: {IN_WORDS[self.stage]}{of}"

    @property
    def ended_words(self) -> str:
        """`rolled back by ana at 2026-05-04 10:11 UTC`. Of one that has ended."""
        assert self.ended_at is not None
        return f"rolled back by {self.by} at {self.ended_at:%Y-%m-%d %H:%M} UTC"

    def to_json(self) -> dict[str, Any]:
        return {
            "by": self.by,
            "via": self.via,
            "began_at": self.began_at.isoformat(),
            "stage": str(self.stage),
            "subject": self.subject,
            "problem": self.problem,
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
        }


def begin(connection: Connection, run_id: int, *, by: str, via: str) -> bool:
    """In the caller's transaction: the run is being rolled back from here on. True if it was not before.

    A run that is over, rolled back or finished, stays as it is.
    """
    before = row(connection, query("rollbacks.lock_run"), {"run_id": run_id})
    named = {"run_id": run_id, "by": by, "via": via}
    if before is not None and before["state"] == RunState.ROLLING_BACK:
        connection.execute(query("rollbacks.continue"), named)
        return False
    if not runs.set_run_state(connection, run_id, RunState.ROLLING_BACK, f"{by} rolls back"):
        return False
    finished_before = before["finished_at"] if before is not None and before["state"] == RunState.DONE else None
    connection.execute(query("rollbacks.begin"), {**named, "finished_before": finished_before})
    return True


def set_stage(connection: Connection, run_id: int, stage: RollbackStage, subject: str = "") -> None:
    connection.execute(query("rollbacks.set_stage"), {"run_id": run_id, "stage": str(stage), "subject": subject})


def set_problem(connection: Connection, run_id: int, problem: str) -> None:
    connection.execute(query("rollbacks.set_problem"), {"run_id": run_id, "problem": problem})


def end(connection: Connection, run_id: int) -> None:
    connection.execute(query("rollbacks.end"), {"run_id": run_id})


def give_up(connection: Connection, run_id: int) -> bool:
    """The run is done, as before its rollback. False where that has changed anything the application sees."""
    before, after = GIVEN_UP
    stages = [str(stage) for stage in BEFORE_GOING_BACK]
    asked = {"run_id": run_id, "before": str(before), "after": str(after), "stages": stages}
    return row(connection, query("rollbacks.give_up"), asked) is not None


def read(connection: Connection, run_id: int) -> Rollback | None:
    """None where the run was not rolled back."""
    found = row(connection, query("rollbacks.read"), {"run_id": run_id})
    return None if found is None else Rollback(**{**found, "stage": RollbackStage(found["stage"])})


def only_records(connection: Connection) -> bool:
    """Whether the ledger holds nothing but records of runs that are rolled back."""
    return bool(value(connection, query("rollbacks.only_records")))
