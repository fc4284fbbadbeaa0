"""Going on with a run that is there: what its plan may say otherwise by now is taken over."""

from __future__ import annotations

from pathlib import Path

from producer.gates.barrier import continue_at_barrier
from producer.planning.resolution import PlanFile
from producer.starting.compile_all import review
from producer.starting.correct_caches import correct_caches, differs_in_caches
from producer.steps.readers import let_read_steps
from replank.errors import WrongUse
from replank.plan.plan import Plan
from sql.access.readers import let_read
from sql.ledger.runs import runs
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

LIMITS = ("governor", "breaker", "notifications")
"""Sections of a plan that a run takes over whenever it continues."""


def resume(connection: Connection, run: Run, file: PlanFile, *, hold_cutover: bool, scripts_in: Path | None) -> Run:
    """The open run, with the limits, gates, readers and notifications that the plan has now, or with other caches.

    Raises WrongUse if the plan says something else of what the run does, or if `scripts_in` holds other scripts.
    """
    if run.plan_digest != file.plan.digest():
        if differs_in_caches(run, file.plan):
            return correct_caches(connection, run, file)
        raise WrongUse(
            f"Run {run.run_id} of plan {run.plan_name} is open on this database, and this plan is not the "
            "run's plan. Continue with the run's plan, or `replank rollback` first."
        )
    if scripts_in is not None:
        review(connection, run, file, scripts_in)
    if hold_cutover and not run.hold_cutover:
        runs.set_hold(connection, run.run_id, hold_cutover=True)
    run = _with_limits(connection, with_readers(connection, run, file.plan), file.plan)
    return continue_at_barrier(connection, run, file.plan)


def _with_limits(connection: Connection, run: Run, plan: Plan) -> Run:
    changes = {name: getattr(plan, name) for name in LIMITS if getattr(plan, name) != getattr(run.plan, name)}
    if not changes:
        return run
    with connection.transaction():
        runs.set_plan(connection, run.run_id, run.plan.model_copy(update=changes))
        words = f"changed in the plan: {', '.join(changes)}"
        add_event(connection, run.run_id, actor="operator", kind="governor", message=words)
    return runs.read_run(connection, run.run_id)


def with_readers(connection: Connection, run: Run, plan: Plan) -> Run:
    """The run, read by those whom the plan names now: given again, because a role may have lost it meanwhile."""
    let_read(connection, plan.access.readers, before=run.plan.access.readers)
    let_read_steps(connection, plan)
    if plan.access == run.plan.access:
        return run
    with connection.transaction():
        runs.set_plan(connection, run.run_id, run.plan.model_copy(update={"access": plan.access}))
        words = f"changed in the plan: readers are {', '.join(plan.access.readers) or 'none'}"
        add_event(connection, run.run_id, actor="operator", kind="access", message=words)
    return runs.read_run(connection, run.run_id)
