"""`replank run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitoring.status.quarantine import quarantined_rows
from monitoring.status.read_status import read_status
from monitoring.status.rollback_possible import describe_rollback
from monitoring.status.status import Status
from monitoring.terminal.output import people, print_json
from producer.compiling.compile_steps import step_named
from producer.coordinator.run import RunOptions, run_plan
from producer.planning.resolution import read_plan_file
from replank.cli.options import AsJson, BrokerUrl, DatabaseUrl, PlanPath
from replank.errors import WrongUse
from replank.settings import Settings, load_settings
from replank.values.states import RunState
from replank.values.steps import STEPS, Step
from replank.wording import counted
from sql.ledger.jobs import job_reports
from sql.ledger.runs.runs import Run
from sql.session.connection import connect

SHOWN_FAILURES = 5


def register(app: typer.Typer) -> None:
    app.command("run")(run)


def run(
    plan: PlanPath,
    workers: Annotated[int, typer.Option(min=0, help="Local workers to start beside the coordinator.")] = 0,
    hold_cutover: Annotated[bool, typer.Option(help="Wait for `replank cutover` before the swap.")] = False,
    until: Annotated[str | None, typer.Option(help="Stop after this step, e.g. 02-add-missing-indexes or 2.")] = None,
    phase: Annotated[int | None, typer.Option(min=1, max=4, help="Stop after the last step of this phase.")] = None,
    scripts: Annotated[
        Path | None, typer.Option(help="Execute only the scripts that `replank compile` wrote into this folder.")
    ] = None,
    quiet: Annotated[bool, typer.Option(help="Show no progress.")] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
    broker_url: BrokerUrl = None,
) -> None:
    """Start the plan's run and coordinate it in the foreground, or continue one that was started before.

    Example: replank run plan.toml --workers 4 --hold-cutover
    """
    settings = load_settings(database_url=database_url, broker_url=broker_url)
    file = read_plan_file(plan)
    settings.database()
    settings.broker()
    options = RunOptions(
        workers=workers, hold_cutover=hold_cutover, quiet=quiet, until=_last_step(until, phase), scripts_in=scripts
    )
    finished, before = run_plan(file, settings, options)
    _report(settings, finished, already=before, as_json=as_json)


def _last_step(until: str | None, phase: int | None) -> Step:
    if until is not None and phase is not None:
        raise WrongUse("Give either --until or --phase: both select the last step.")
    if phase is not None:
        return [step for step in STEPS if step.phase == phase][-1]
    return STEPS[-1] if until is None else step_named(until)


def _report(settings: Settings, finished: Run, *, already: bool, as_json: bool) -> None:
    console = people()
    if finished.state in (RunState.ROLLING_BACK, RunState.ROLLED_BACK):
        # Its ledger may be gone by now: what is known of the run is what the coordinator saw last.
        if as_json:
            print_json(Status.of_removed(finished).to_json())
        console.print(f"Run {finished.run_id} is being rolled back, or is already rolled back.")
        console.print("If the rollback was stopped, run `replank rollback` again to continue it.")
        raise typer.Exit(1)
    with connect(settings.database(), name="status") as connection:
        status = read_status(connection)
        if as_json:
            print_json(status.to_json())
        failed = job_reports.read_failures(connection, finished.run_id)
        aside = quarantined_rows(connection, finished)
    for place, words in status.already:
        console.print(f"already done  {place}: {words}", markup=False, soft_wrap=True)
    if already:
        console.print(f"Run {finished.run_id} of this plan is already done. Nothing was changed.")
    elif finished.state is RunState.DONE and status.nothing_to_do:
        console.print("Nothing to do: this database already has everything in the plan. No table was touched.")
    elif finished.state is RunState.DONE:
        console.print(f"Run {finished.run_id} is done. The past tables are retained in schema replank_past.")
        words = f"`replank finish` drops them; before that {describe_rollback(finished, status.rollback_facts)}."
        console.print(words, markup=False, soft_wrap=True)
        for table, count in aside.items():
            console.print(
                f"{table}: {counted(count, 'row', 'is')} quarantined, see `replank quarantine list`.",
                markup=False,
            )
    elif finished.state is RunState.RUNNING:
        console.print(f"Run {finished.run_id} has reached the requested step. `replank run PLAN` continues it.")
    else:
        console.print(f"Run {finished.run_id} needs the operator: {finished.reason}", markup=False, soft_wrap=True)
        for failure in failed[:SHOWN_FAILURES]:
            console.print(f"  {failure.name} {failure.range}: {failure.message}", markup=False, soft_wrap=True)
        if status.at_barrier:
            console.print("Then run this command again, or `replank rollback`; there is nothing to retry.")
        else:
            console.print(
                "See `replank failures`. Then run `replank retry` and this command again, or `replank rollback`."
            )
        raise typer.Exit(1)
