"""`replank compile`, and the comparison with reviewed scripts: every step of a plan as scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from producer.compiling.compile_steps import as_stored, compile_steps, stored_step
from producer.compiling.done_by_hand import done_by_hand
from producer.compiling.drop_deprecated import STEP as DROP_DEPRECATED
from producer.compiling.review import keep_pass, refuse_other_scripts, stored
from producer.compiling.run_scripts import compile_tables
from producer.planning.resolution import PlanFile
from producer.psql_scripts.compile_pass import as_kept
from producer.starting.preflight import prepare_or_refuse
from producer.steps.compiled import CompiledStep
from replank.activity import doing
from sql.ledger.runs import runs, scripts
from sql.ledger.runs.runs import Run
from sql.scripts.script_templates import Script
from sql.session.connection import Connection


def compile_all(connection: Connection, file: PlanFile) -> list[CompiledStep]:
    """Every step as scripts: those of the open run of this plan, or what a run would begin with now."""
    present = runs.open_run(connection)
    if present is None or present.plan_digest != file.plan.digest():
        doing("looking for steps that psql has run already")
        done = done_by_hand(connection, file.plan)
        made = [*compile_steps(connection, file.plan, file.folder, done=done), *_tables_now(connection, file)]
    else:
        kept = stored(connection, present)
        made = [*as_stored(present.plan, kept), *_tables_of(connection, present, file, kept)]
    return sorted(made, key=lambda each: each.step.number)


def review(connection: Connection, run: Run, file: PlanFile, folder: Path) -> None:
    """Before a run continues with reviewed scripts: they are its own. Raises WrongUse."""
    kept = stored(connection, run)
    of_tables = _tables_of(connection, run, file, kept)
    refuse_other_scripts([*as_stored(run.plan, kept), *of_tables], folder)
    with connection.transaction():
        keep_pass(connection, run.run_id, of_tables, reviewed=True)


def _tables_of(
    connection: Connection, run: Run, file: PlanFile, kept: Mapping[str, Script]
) -> tuple[CompiledStep, ...]:
    """As the run's tables were planned; before they are, as they would be now."""
    if scripts.has_step(connection, run.run_id, run.plan.steps.carrier):
        return (*as_kept(kept), stored_step(DROP_DEPRECATED, run.plan, kept))
    return _tables_now(connection, file)


def _tables_now(connection: Connection, file: PlanFile) -> tuple[CompiledStep, ...]:
    doing("reading the catalogue")
    prepared = prepare_or_refuse(connection, file)
    return compile_tables(connection, prepared).all
