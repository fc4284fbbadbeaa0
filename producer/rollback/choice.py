"""Which run a rollback is for, and whether it can be undone at all."""

from __future__ import annotations

from replank.errors import WrongUse
from replank.values.states import RunState
from sql.ledger.runs import rollbacks, runs
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets, tables
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection


def run_to_undo(connection: Connection, run_id: int | None) -> Run:
    """The run that is open, or else the newest one if it is done, or the one that is named.

    Raises WrongUse if there is nothing to undo, or if what was written after a cutover was not captured.
    """
    run = runs.open_run(connection)
    if run is None:
        run = _done_run(connection, run_id)
    elif run_id not in (None, run.run_id):
        raise WrongUse(f"Run {run.run_id} is still open on this database. Finish it or roll it back first.")
    refuse_without_capture(connection, run)
    return run


def _done_run(connection: Connection, run_id: int | None) -> Run:
    """The newest run if it is done, or the one that was named."""
    if not ledger_exists(connection):
        raise WrongUse("No run is open on this database: there is nothing to roll back.")
    run = runs.latest_run(connection) if run_id is None else runs.find_run(connection, run_id)
    if run is None and run_id is not None:
        raise WrongUse(f"There is no run {run_id} on this database.")
    if run is not None and run.state is RunState.DONE and not run.plan.wanted_tables:
        raise WrongUse(f"Run {run.run_id} is done and has rebuilt only caches. A rollback does not change them.")
    if run is not None and run.state is RunState.DONE:
        return run
    if run is not None and run.state is RunState.FINISHED:
        raise WrongUse(
            f"Run {run.run_id} is finished: `replank finish` dropped its past tables, so it cannot be rolled back."
        )
    ended = None if run is None else rollbacks.read(connection, run.run_id)
    if run is not None and run.state is RunState.ROLLED_BACK and ended is not None and ended.ended_at is not None:
        words = f"Run {run.run_id} was {ended.ended_words}: there is nothing to roll back."
    else:
        words = "No run is open on this database: there is nothing to roll back."
    older = [str(r.run_id) for r in runs.done_runs(connection)]
    hint = f" `replank rollback --run {older[0]}` rolls back an older run." if older else ""
    raise WrongUse(f"{words}{hint}")


def refuse_without_capture(connection: Connection, run: Run) -> None:
    swapped = [s.set_no for s in conversion_sets.read_sets(connection, run.run_id) if s.swapped_at is not None]
    filled = [t for t in tables.read_tables(connection, run.run_id) if t.spec.method == "backfill"]
    if run.state is RunState.DONE and filled and not run.plan.options.reverse_capture:
        raise WrongUse(
            f"Run {run.run_id} is done, and the plan says `reverse_capture = false`: which values the backfill wrote "
            "was not recorded, so they cannot be removed."
        )
    if swapped and not run.plan.options.reverse_capture:
        raise WrongUse(
            f"Conversion set {', '.join(map(str, swapped))} of run {run.run_id} is swapped, and the plan says "
            "`reverse_capture = false`: what was written since was not captured for the past tables, so a rollback "
            "would lose it. The past tables are retained in schema replank_past."
        )
