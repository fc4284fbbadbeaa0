"""Pausing, going on, and limiting how many jobs run at once: the whole run, a phase, a table or a cache."""

from __future__ import annotations

from producer.operator.operator import Operator
from producer.operator.run_for_action import note, refuse_idle, refuse_rolling_back
from producer.operator.scope import Scope
from replank.errors import WrongUse
from replank.values.states import RunState
from replank.values.steps import DATA_PHASE
from replank.wording import counted
from sql.ledger.jobs import failed
from sql.ledger.runs import restraints, runs
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

MOST_JOBS = 1_000


def pause(connection: Connection, run: Run, scope: Scope, *, by: Operator, reason: str = "") -> str:
    """Start nothing further in the scope. Jobs under way end; capture continues, so nothing is lost meanwhile."""
    refuse_rolling_back(run)
    refuse_idle(connection, run)
    with connection.transaction():
        restraints.put(connection, run.run_id, scope.place, "pause", by=by.name, reason=reason)
        note(connection, run, by, "pause", subject=scope.words, message=reason)
    return (
        f"Run {run.run_id}: {scope.words} is paused. Running jobs are completed. `replank resume{scope.options}` "
        "continues, `replank panic` stops the running jobs."
    )


def resume(connection: Connection, run: Run, scope: Scope, *, by: Operator) -> str:
    """Take the scope's own pause away. Others, of a wider or narrower scope, stay, and are named."""
    refuse_rolling_back(run)
    with connection.transaction():
        lifted = restraints.lift(connection, run.run_id, scope.place, "pause")
        if scope.place.table_no is not None:
            failed.forgive_errors(connection, run.run_id, [scope.place.table_no])
        if run.state is RunState.NEEDS_OPERATOR and lifted:
            # If nothing can continue, the coordinator says so again.
            runs.set_run_state(connection, run.run_id, RunState.RUNNING)
        note(connection, run, by, "resume", subject=scope.words)
    said = f"{scope.words} continues" if lifted else f"{scope.words} was not paused"
    left = [r for r in restraints.in_force(connection, run.run_id) if r.kind == "pause"]
    rest = "".join(f" {r.words}: `{r.freed_by}`." for r in left)
    again = " Continue with `replank run PLAN`." if run.state is RunState.NEEDS_OPERATOR and lifted else ""
    return f"Run {run.run_id}: {said}.{again}{rest}"


def throttle(
    connection: Connection, run: Run, scope: Scope, limit: int | None, *, by: Operator, reason: str = ""
) -> str:
    """At most `limit` jobs of the scope at once; None takes the limit away. The governor may still allow fewer."""
    refuse_rolling_back(run)
    if limit is not None and not 1 <= limit <= MOST_JOBS:
        raise WrongUse(f"A limit is 1 to {MOST_JOBS} jobs in flight. To start none: `replank pause{scope.options}`.")
    if scope.place.phase not in (None, DATA_PHASE):
        raise WrongUse(
            f"Phase {scope.place.phase} has no jobs: its steps are scripts. Use `replank pause --phase "
            f"{scope.place.phase}`, or limit phase {DATA_PHASE}."
        )
    usual = "the plan's limit" if scope.name is None and scope.place.phase is None else "no limit of its own"
    words = usual if limit is None else f"at most {counted(limit, 'job')} in flight"
    with connection.transaction():
        if limit is None:
            restraints.lift(connection, run.run_id, scope.place, "throttle")
        else:
            restraints.put(connection, run.run_id, scope.place, "throttle", max_jobs=limit, by=by.name, reason=reason)
        note(connection, run, by, "throttle", subject=scope.words, message=f"{words}: {reason}" if reason else words)
    return f"Run {run.run_id}: {scope.words}: {words}."
