"""`replank rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitoring.terminal.activity_screen import ActivityScreen
from monitoring.terminal.output import people, print_json
from producer.compiling.compile_steps import step_named
from producer.notifications.telling import notifier_for, rolled_back
from producer.operator.operator import operator_of_shell
from producer.planning.resolution import read_plan_file
from producer.rollback.choice import run_to_undo
from producer.rollback.end import forget_records
from producer.rollback.question import Extent, ask, read_extent, refuse_other_plan
from producer.rollback.rollback import roll_back_through
from producer.waiting.wait_for_database import reach
from replank.errors import WrongUse
from replank.settings import load_settings
from replank.values.states import RunState
from replank.values.steps import Step
from sql.access.roles import connect_to_change
from sql.ledger.runs import runs
from sql.session.connection import Connection

FORGET = "Leave no record of the run either: the ledger goes with the last run of the database."

As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who you are; the login name otherwise.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on the last line of standard output.")]


def rollback(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="The run's plan, as it was: a run of another plan is refused."),
    ] = None,
    run_id: Annotated[int | None, typer.Option("--run", min=1, help="An older run that is done.")] = None,
    to: Annotated[str | None, typer.Option(help="A step that stays, with all before it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help=FORGET)] = False,
    by: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who you are; the login name otherwise.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on the last line of standard output.")
    ] = False,
    database_url: Annotated[str | None, typer.Option(help="Overrides REPLANK_DATABASE_URL.")] = None,
) -> None:
    """Undo the run. After the cutover, past tables come back with all later changes. Asks first.

    A script says --yes.

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

    reach(open_connection, say=say)
    extent = _extent(open_connection(), plan, run_id, last, forget=forget)
    if extent is None:
        say("The records of earlier runs are removed; nothing of Replank is left in this database.")
        return
    if not yes:
        ask(extent, say)
    with ActivityScreen(console), notifier_for(settings.database(), extent.run.run_id, say) as notifier:
        done = roll_back_through(
            open_connection, say=say, run_id=extent.run.run_id, to=last, by=operator, keep_record=not forget
        )
        whole = last is None and done.back_to is None
        gone = whole and _ledger_is_gone(open_connection())
        if gone:
            notifier.tell_last(rolled_back(done, by=operator.name))
    if as_json:
        state = RunState.ROLLED_BACK if whole else RunState.RUNNING
        print_json({**extent.to_json(), "state": str(state), "by": operator.name})
    if whole:
        record = "" if gone else " Its record is in the ledger; `replank rollback --forget` removes that."
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
        return not runs.ledger_exists(connection)
