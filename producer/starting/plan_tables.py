"""The tables of a run whose scripts have run: planned in the catalogue that these have left."""

from __future__ import annotations

from producer.compiling.review import keep_pass, keep_scripts, refuse_unread
from producer.compiling.run_scripts import compile_tables
from producer.planning.resolution import PlanFile
from producer.starting.preflight import prepare_or_refuse
from producer.starting.write_run import write_tables
from replank.activity import doing
from sql.ledger.runs import scripts
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection


def plan_tables(connection: Connection, run: Run) -> bool:
    """Plan the tables of a run whose scripts have run; False where they are planned already.

    Raises NeedsOperator or WrongUse where the plan does not fit the database as it is now.
    """
    if not run.plan.wanted_tables or scripts.has_step(connection, run.run_id, run.plan.steps.carrier):
        return False
    words = "the earlier steps have changed the catalogue: the plan is checked again, and the tables are planned"
    add_event(connection, run.run_id, actor="coordinator", kind="run", message=words)
    doing("planning the tables")
    file = PlanFile(plan=run.plan, source="the run's plan", text="")
    prepared = prepare_or_refuse(connection, file, scripts_have_run=True)
    of_tables = compile_tables(connection, prepared)
    refuse_unread(connection, run, of_tables.all)
    with connection.transaction():
        keep_pass(connection, run.run_id, of_tables.all, reviewed=False)
        write_tables(connection, run.run_id, prepared)
        keep_scripts(connection, run.run_id, [of_tables.deprecated])
    return True
