"""A run's rollback in the ledger: its operator, how far it is, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, null, select, update
from sqlalchemy.dialects.postgresql import insert

from replank.values.states import BEFORE_GOING_BACK, GIVEN_UP, RollbackStage, RunState
from sql.ledger.runs import runs
from sql.ledger.schema.run_tables import ROLLBACK, RUN
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given

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


@dataclass(frozen=True, kw_only=True)
class _Before:
    state: RunState
    finished_at: datetime | None


_B = ROLLBACK.c
_CHANGE = update(ROLLBACK).where(_B.run_id == given("run_id"))
_GOES_ON = {"actor": given("by"), "via": given("via"), "problem": ""}
_NEW = insert(ROLLBACK).values(
    run_id=given("run_id"), actor=given("by"), via=given("via"), finished_before=given("finished_before")
)
_LOCK_RUN = Query("rollbacks.lock_run", _Before)
_BEGIN = Command(
    _NEW.on_conflict_do_update(
        index_elements=["run_id"],
        set_={
            **{name: _NEW.excluded[name] for name in ("actor", "via", "began_at", "finished_before", "stage")},
            "ended_at": null(),
            "subject": "",
            "problem": "",
        },
    )
)
_CONTINUE = Command(_CHANGE.values(**_GOES_ON))
_SET_STAGE = Command(_CHANGE.values(stage=given("stage"), subject=given("subject")))
_SET_PROBLEM = Command(_CHANGE.values(problem=given("problem")))
_END = Command(_CHANGE.values(ended_at=func.clock_timestamp(), subject="", problem=""))
_GIVE_UP = Command("rollbacks.give_up")
_READ = Query(
    select(_B.actor.label("by"), _B.via, _B.began_at, _B.stage, _B.subject, _B.problem, _B.ended_at).where(
        _B.run_id == given("run_id")
    ),
    Rollback,
)
_ONLY_RECORDS = Query(select(~exists().where(RUN.c.state != RunState.ROLLED_BACK)), bool)


def begin(connection: Connection, run_id: int, *, by: str, via: str) -> bool:
    """In the caller's transaction: the run is being rolled back from here on. True if it was not before.

    A run that is over, rolled back or finished, stays as it is. One that was stopped continues, perhaps by another
    operator.
    """
    before = _LOCK_RUN.first(connection, run_id=run_id)
    if before is not None and before.state is RunState.ROLLING_BACK:
        _CONTINUE(connection, run_id=run_id, by=by, via=via)
        return False
    if not runs.set_run_state(connection, run_id, RunState.ROLLING_BACK, f"{by} rolls back"):
        return False
    finished_before = before.finished_at if before is not None and before.state is RunState.DONE else None
    _BEGIN(connection, run_id=run_id, by=by, via=via, finished_before=finished_before)
    return True


def set_stage(connection: Connection, run_id: int, stage: RollbackStage, subject: str = "") -> None:
    _SET_STAGE(connection, run_id=run_id, stage=stage, subject=subject)


def set_problem(connection: Connection, run_id: int, problem: str) -> None:
    """Why it has stopped."""
    _SET_PROBLEM(connection, run_id=run_id, problem=problem)


def end(connection: Connection, run_id: int) -> None:
    _END(connection, run_id=run_id)


def give_up(connection: Connection, run_id: int) -> bool:
    """The run is done, as before its rollback. False where that has changed anything the application sees."""
    before, after = GIVEN_UP
    return _GIVE_UP(connection, run_id=run_id, before=before, after=after, stages=list(BEFORE_GOING_BACK)) > 0


def read(connection: Connection, run_id: int) -> Rollback | None:
    """None where the run was not rolled back."""
    return _READ.first(connection, run_id=run_id)


def only_records(connection: Connection) -> bool:
    """Whether the ledger holds nothing but records of runs that are rolled back."""
    return _ONLY_RECORDS.only(connection)
