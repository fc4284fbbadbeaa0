"""The end of a rollback: scripts of earlier steps are undone, and the run leaves its record, a step, or nothing."""

from __future__ import annotations

from collections.abc import Callable

from producer.operator.operator import Operator
from producer.planning.cache_resolution import plan_caches
from producer.scripts.planned_scripts import blocks_by, run_to_end
from producer.scripts.run_script import ScriptRunner
from replank.errors import OutcomeUnknown
from replank.values.states import RollbackStage, RunState
from replank.values.steps import BY_NAME, Step
from sql.ledger.runs import rollbacks, runs, scripts
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.ledger.upgrades.ledger import drop_ledger, ledger_exists
from sql.session.connection import Connection


def end_rollback(
    connection: Connection, run: Run, say: Callable[[str], None], *, by: Operator, keep_record: bool
) -> None:
    """The scripts, and the run's own end: it is gone, or may go forward again from the step it went back to."""
    last = BY_NAME[run.rollback_to] if run.rollback_to else None
    rollbacks.set_stage(connection, run.run_id, RollbackStage.UNDOING_STEPS)
    _undo_scripts(connection, run, to=last.number if last else 0, say=say)
    if last is not None:
        with connection.transaction():
            runs.forget_data(connection, run.run_id)
            plan_caches(connection, run.run_id, run.plan)
            runs.set_run_state(connection, run.run_id, RunState.RUNNING)
            runs.set_rollback_to(connection, run.run_id, None)
            rollbacks.end(connection, run.run_id)
        say(_describe_end(connection, run, last))
        return
    with connection.transaction():
        # Together: after a kill in between, no command would remove the ledger.
        if not runs.set_run_state(connection, run.run_id, RunState.ROLLED_BACK, f"{by.name} rolled back"):
            raise OutcomeUnknown(f"Run {run.run_id} is no longer being rolled back. See `replank status`.")
        runs.forget_data(connection, run.run_id)
        rollbacks.end(connection, run.run_id)
        gone = not keep_record and rollbacks.only_records(connection)
        if gone:
            drop_ledger(connection)
        else:
            add_event(connection, run.run_id, actor=by.name, kind="rolled_back", message="the run is rolled back")
    if gone:
        say("the ledger is removed; nothing of Replank is left in this database")


def _describe_end(connection: Connection, run: Run, last: Step) -> str:
    """The last step that is done: the run need not have reached the step that was asked for."""
    done = [one.step for one in scripts.forward_scripts(connection, run.run_id) if one.finished]
    present = max(done, key=lambda step: step.number, default=None)
    on = "`replank run PLAN` continues from there"
    if present == last:
        return f"rolled back to step {last.name}; {on}"
    words = f"step {present.name} is the last one done" if present is not None else "no step is done"
    return f"everything after step {last.name} is undone; {words}; {on}"


def forget_records(connection: Connection) -> bool:
    """Remove a ledger that holds nothing but records of runs that are rolled back. False where there is no such one."""
    if not ledger_exists(connection):
        return False
    with connection.transaction():
        alone = rollbacks.only_records(connection)
        if alone:
            drop_ledger(connection)
    return alone


def _undo_scripts(connection: Connection, run: Run, *, to: int, say: Callable[[str], None]) -> None:
    """Run the rollbacks of every step after number `to` that has begun, the last one first."""
    runner = ScriptRunner(connection=connection, attempts=run.plan.options.capture_attempts, command="replank rollback")
    for planned in (p for p in scripts.rollback_scripts(connection, run.run_id) if p.step.number > to):
        words = run_to_end(connection, planned, blocks_by(runner))
        say(f"step {planned.step.name}: {words or 'rolled back'}")
