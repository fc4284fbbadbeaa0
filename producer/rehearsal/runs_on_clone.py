"""The parts of a rehearsal: forward on the clone, back on the clone, and to the end. Each raises NeedsOperator only."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from monitoring.status.figures import read_figures
from producer.gates.rehearsed import scripts_of_run
from producer.planning.resolution import PlanFile
from producer.rehearsal.clone_plan import drop_past_caches
from producer.rollback.compare import compare_tables
from producer.rollback.finish import Finishing
from producer.rollback.rollback import roll_back_through
from replank.errors import NeedsOperator, ReplankError
from replank.plan.plan import Plan
from replank.settings import Settings
from replank.values.states import RunState
from replank.values.steps import DATA_PHASE, STEPS, Step
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets
from sql.session.connection import connect

Forward = Callable[[PlanFile, Settings, Step], Run]
"""Takes a plan forward to a step, with workers of the clone's own."""

END = STEPS[-1]
BEFORE_DATA = [step for step in STEPS if step.phase < DATA_PHASE][-1]


@contextmanager
def _as_findings(what: str) -> Iterator[None]:
    """Whatever Replank refuses on the clone is a finding of the rehearsal."""
    try:
        yield
    except ReplankError as error:
        raise NeedsOperator(f"{what}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class Forwarded:
    """What a leg forward gave: figures, the comparison of every table, checksums of the scripts by name."""

    figures: Mapping[str, Any]
    compared: list[dict[str, Any]]
    scripts: Mapping[str, str]

    @property
    def rows(self) -> int:
        return sum(one["rows_live"] or 0 for one in self.compared)


def go_forward(forward: Forward, file: PlanFile, settings: Settings, until: Step) -> Forwarded:
    """The run gets there, and past and new rows are equal."""
    with _as_findings("forward on the clone"):
        run = forward(file, settings, until)
        if run.state is not RunState.DONE and not (until is BEFORE_DATA and run.state is RunState.RUNNING):
            raise NeedsOperator(f"the run stopped, {run.state}: {run.reason}")
        with connect(settings.database(), name="rehearsal") as connection:
            compared = compare_tables(connection, run)
            differ = [one.name for one in compared if one.mismatches]
            if differ:
                raise NeedsOperator(f"past and new rows differ in {', '.join(differ)}")
            return Forwarded(
                figures=read_figures(connection, runs.read_run(connection, run.run_id)),
                compared=[one.to_json() for one in compared],
                scripts=scripts_of_run(connection, run.run_id),
            )


def go_back(settings: Settings, plan: Plan) -> dict[str, Any]:
    """Roll the run back. Returns its seconds and the longest lock in ms."""
    started = time.monotonic()
    holds: list[float] = []

    def note_locks(_words: str) -> None:
        """The ledger goes at the end, and what it knows of locks with it."""
        with connect(settings.database(), name="rehearsal") as connection:
            run = runs.latest_run(connection)
            sets = conversion_sets.read_sets(connection, run.run_id) if run is not None else []
        holds.extend(one.swap_back_hold_ms for one in sets if one.swap_back_hold_ms is not None)

    with _as_findings("back on the clone"):
        roll_back_through(lambda: connect(settings.database(), name="rollback"), say=note_locks)
        seconds = time.monotonic() - started
        with connect(settings.database(), name="rehearsal") as connection:
            drop_past_caches(connection, plan)
    return {"seconds": round(seconds, 3), "lock_hold_ms": max(holds, default=None)}


def finish(settings: Settings) -> dict[str, Any]:
    """`replank finish`. Returns its seconds."""
    started = time.monotonic()
    with _as_findings("finish on the clone"), connect(settings.database(), name="finish") as connection:
        finishing = Finishing(
            connection=connection, say=lambda _: None, sleep=time.sleep, random_source=random.Random()
        )
        finishing.finish(finishing.run_to_finish())
    return {"seconds": round(time.monotonic() - started, 3)}
