"""The barrier before the data migration, and a run that was stopped at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from producer.gates.checking_gates import check_gates
from replank.errors import NeedsOperator
from replank.plan.plan import Plan
from replank.values.states import RunState, TableState
from sql.catalogue.shapes import refuse_changed_shapes
from sql.ledger.runs import costs, gates, runs
from sql.ledger.runs.events import add_event
from sql.ledger.runs.gates import Gate
from sql.ledger.runs.runs import Run
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection


def why_closed(connection: Connection, run: Run, present: Callable[[], Sequence[RunTable]]) -> str:
    """Why the data migration may not begin; empty where it may. Once it was let begin, nothing is asked any more.

    `present` are the tables of the run, which are read only where that is asked.
    """
    if not (run.plan.wanted_tables or run.plan.caches):
        return ""
    barrier = gates.read_barrier(connection, run.run_id)
    if barrier is not None and barrier.passed_at is not None:
        return ""
    found = check_gates(connection, run.plan)
    still_open = [gate for gate in found if gate.is_open]
    changed = _changed_since_planned(connection, present())
    passes = not still_open and not changed
    with connection.transaction():
        gates.set_barrier(connection, run.run_id, passed=passes, gates=found)
        if passes:
            costs.measure(connection, run.run_id)
        if found and passes:
            words = ", ".join(f"{gate.name} {gate.state}" for gate in found)
            add_event(connection, run.run_id, actor="coordinator", kind="gates", message=words)
    return _words(still_open) if still_open else changed


def _changed_since_planned(connection: Connection, present: Sequence[RunTable]) -> str:
    """Which tables were changed while the run waited here; empty for none. Nothing is built of any by now."""
    specs = [table.spec for table in present if table.state is TableState.PLANNED and table.spec.method == "rebuild"]
    try:
        refuse_changed_shapes(connection, specs, built=False)
    except NeedsOperator as error:
        return f"The data migration does not start. {error}"
    return ""


def _words(still_open: Sequence[Gate]) -> str:
    told = "; ".join(f"{gate.name}: {gate.reason.rstrip('.')} ({gate.remedy})" for gate in still_open)
    return (
        f"the data migration does not start: gates are open. {told}. Then run `replank run PLAN` again, which checks "
        "the gates again. To override one: `replank gates PLAN override NAME --by WHO --reason TEXT`."
    )


def continue_at_barrier(connection: Connection, run: Run, plan: Plan) -> Run:
    """A run that `replank run` is called for again: with the gates that the plan has now, and past its stop at them."""
    if run.plan.gates != plan.gates:
        with connection.transaction():
            gates.set_gates(connection, run.run_id, plan.gates)
            words = "the plan's gates were changed" if plan.gates is not None else "the plan's gates were removed"
            add_event(connection, run.run_id, actor="operator", kind="gates", message=words)
    if run.state is RunState.NEEDS_OPERATOR and gates.waits_at_barrier(connection, run.run_id):
        runs.set_run_state(connection, run.run_id, RunState.RUNNING)
    return runs.read_run(connection, run.run_id)
