"""`replank rollback` and `replank finish`: the two ways to end what a run has left."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from monitoring.terminal.activity_screen import ActivityScreen
from monitoring.terminal.output import people, print_json
from producer.compiling.compile_steps import step_named
from producer.notifications.command_notifier import notifier_for, rolled_back
from producer.operator.operator import operator_of_shell
from producer.planning.resolution import read_plan_file
from producer.rollback.choice import run_to_undo
from producer.rollback.end import forget_records
from producer.rollback.finish import Finishing, Leftover, total_bytes
from producer.rollback.question import Extent, confirm_rollback, read_extent, refuse_other_plan
from producer.rollback.rollback import roll_back_through
from producer.waiting.wait_for_restart import wait_for_restart
from replank.cli.options import As, AsJson, DatabaseUrl, Yes
from replank.errors import WrongUse
from replank.settings import load_settings
from replank.values.states import RunState
from replank.values.steps import Step
from sql.access.roles import connect_to_change
from sql.ledger.runs.runs import Run
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection
from sql.swap.event_triggers import refusal

FORGET = "Also delete the run's record; with the database's last run the ledger is dropped."
UNITS = ("bytes", "kB", "MB", "GB", "TB")


def register(app: typer.Typer) -> None:
    app.command("rollback")(rollback)
    app.command("finish")(finish)


def rollback(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="The unchanged plan of the run; a run of another plan is rejected."),
    ] = None,
    run_id: Annotated[int | None, typer.Option("--run", min=1, help="The id of an older run that is done.")] = None,
    to: Annotated[str | None, typer.Option(help="Keep this step and all before it.")] = None,
    yes: Yes = False,
    forget: Annotated[bool, typer.Option("--forget", help=FORGET)] = False,
    by: As = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Roll the run back. After the cutover, the past tables come back with all later changes. Asks for confirmation.

    Scripts use --yes.

    Example: replank rollback plan.toml --yes
    """
    if as_json and not yes:
        raise WrongUse("`--json` is non-interactive; add `--yes` to confirm.")
    operator = operator_of_shell(by)
    last = None if to is None else step_named(to)
    settings = load_settings(database_url=database_url)
    console = people()

    def say(words: str) -> None:
        console.print(words, markup=False, soft_wrap=True)

    def open_connection() -> Connection:
        return connect_to_change(settings.database(), name="rollback", what="`replank rollback`")

    wait_for_restart(open_connection, say=say)
    extent = _extent(open_connection(), plan, run_id, last, forget=forget)
    if extent is None:
        say("The records of earlier runs are deleted. This database has no objects of Replank any more.")
        return
    if not yes:
        confirm_rollback(extent, say)
    with ActivityScreen(console), notifier_for(settings.database(), extent.run.run_id, say) as notifier:
        done = roll_back_through(
            open_connection, say=say, run_id=extent.run.run_id, to=last, by=operator, keep_record=not forget
        )
        whole = last is None and done.rollback_to is None
        gone = whole and _ledger_is_gone(open_connection())
        if gone:
            notifier.tell_last(rolled_back(done, by=operator.name))
    if as_json:
        state = RunState.ROLLED_BACK if whole else RunState.RUNNING
        print_json({**extent.to_json(), "state": str(state), "by": operator.name})
    if whole:
        record = "" if gone else " Its record is in the ledger; `replank rollback --forget` deletes it."
        say(f"Run {done.run_id} is rolled back.{record}")


def _extent(
    connection: Connection, plan: Path | None, run_id: int | None, to: Step | None, *, forget: bool
) -> Extent | None:
    """What would be undone; None where there was nothing but records, which are gone now."""
    with connection:
        if forget and run_id is None and plan is None and forget_records(connection):
            return None
        run = run_to_undo(connection, run_id)
        if plan is not None:
            refuse_other_plan(connection, run, read_plan_file(plan))
        return read_extent(connection, run, to)


def _ledger_is_gone(connection: Connection) -> bool:
    with connection:
        return not ledger_exists(connection)


def finish(
    yes: Yes = False,
    without_proof: Annotated[
        bool, typer.Option("--without-proof", help="Do not compare the tables before the past tables are dropped.")
    ] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Drop the past tables and reverse capture. Afterwards no rollback is possible.

    Compares new and past tables row by row first; rows written since the cutover are only counted. If there is a
    mismatch, nothing is dropped.

    Example: replank finish --yes
    """
    settings = load_settings(database_url=database_url)
    if as_json and not yes:
        raise WrongUse("`--json` is non-interactive; add `--yes` to confirm.")
    console = people()
    with connect_to_change(settings.database(), name="finish", what="`replank finish`") as connection:
        finishing = Finishing(
            connection=connection,
            say=lambda words: console.print(words, markup=False),
            sleep=time.sleep,
            random_source=random.Random(),
        )
        run = finishing.run_to_finish()
        found = finishing.leftovers(run)
        if found and not yes:
            _ask(run, found, finishing.rollback_words(run))
        already = finishing.is_over(run)
        with ActivityScreen(console), notifier_for(settings.database(), run.run_id, finishing.say):
            try:
                done = run if already else finishing.finish(run, proof=not without_proof)
            except psycopg.OperationalError:
                raise
            except psycopg.DatabaseError as error:
                if connection.closed:
                    raise
                raise refusal(connection, error, command="replank finish") from error
    if as_json:
        document = {"run_id": done.run_id, "state": str(done.state), "dropped": [each.to_json() for each in found]}
        print_json({**document, "bytes": total_bytes(found)})
    if already:
        console.print(f"Run {done.run_id} is already finished. Nothing was changed.")
    else:
        console.print(
            f"Run {done.run_id} is finished: {size(total_bytes(found))} are free. It cannot be rolled back any more."
        )


def _ask(run: Run, found: Sequence[Leftover], outlook: str) -> None:
    """Lists what will be dropped, and continues only after a confirmation."""
    console = people()
    console.print(f"Run {run.run_id} of plan {run.plan_name}. This will be dropped:")
    for each in found:
        held = "" if each.bytes is None else f"  {size(each.bytes)}"
        console.print(f"  {each.what} {each.name}{held}", markup=False, soft_wrap=True)
    console.print(f"Until now {outlook}; afterwards no rollback is possible.", markup=False, soft_wrap=True)
    if not typer.confirm("Drop it?", default=False, err=True):
        console.print("Nothing was changed.")
        raise typer.Exit(1)


def size(count: int) -> str:
    """Bytes as people say them: `14 MB`."""
    amount, unit = float(count), UNITS[0]
    for unit in UNITS:
        if amount < 1024 or unit == UNITS[-1]:
            break
        amount /= 1024
    return f"{amount:,.0f} {unit}"
