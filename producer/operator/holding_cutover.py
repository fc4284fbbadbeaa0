"""Whether the tables are swapped as soon as they are ready, or wait for the operator."""

from __future__ import annotations

from producer.operator.operator import Operator
from producer.operator.run_for_action import note, refuse_rolling_back
from sql.ledger.runs import restraints, runs
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection


def hold_cutover(connection: Connection, run: Run, *, by: Operator, reason: str = "") -> str:
    """No set, and no cache table, is swapped from now on. A swap that has started ends."""
    refuse_rolling_back(run)
    with connection.transaction():
        runs.set_hold(connection, run.run_id, hold_cutover=True)
        note(connection, run, by, "hold_cutover", message=reason)
    return f"Run {run.run_id}: the cutover is held; `replank cutover` releases it."


def release_cutover(connection: Connection, run: Run, *, by: Operator) -> str:
    """Sets are swapped as soon as they are ready, where no pause and no window of the plan says otherwise."""
    refuse_rolling_back(run)
    with connection.transaction():
        runs.set_hold(connection, run.run_id, hold_cutover=False)
        note(connection, run, by, "release_cutover")
    left = [r for r in restraints.in_force(connection, run.run_id) if r.kind == "pause"]
    rest = "".join(f" It still waits while {r.words}: `{r.freed_by}`." for r in left)
    return f"Run {run.run_id}: the cutover is released.{rest}"
