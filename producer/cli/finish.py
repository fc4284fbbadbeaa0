"""`replank finish`."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Annotated

import psycopg
import typer

from monitoring.terminal.activity_screen import ActivityScreen
from monitoring.terminal.output import people, print_json
from producer.notifications.telling import notifier_for
from producer.rollback.finish import Finishing, Leftover, total_bytes
from replank.errors import WrongUse
from replank.settings import load_settings
from sql.access.roles import connect_to_change
from sql.ledger.runs.runs import Run
from sql.swap.event_triggers import refusal

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def register(app: typer.Typer) -> None:
    app.command("finish")(finish)


def finish(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    without_proof: Annotated[
        bool, typer.Option("--without-proof", help="Do not compare both sides before the past tables are dropped.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    database_url: Annotated[str | None, typer.Option(help="Overrides REPLANK_DATABASE_URL.")] = None,
) -> None:
    """Drop the past tables and what captures changes for them. Afterwards there is no way back.

    Both sides are compared before, row by row, but for the rows that were written since the cutover: these are counted.
    Where they differ, nothing is dropped.

    Example: replank finish --yes
    """
    settings = load_settings(database_url=database_url)
    if as_json and not yes:
        raise WrongUse("`--json` is for programs, which nobody can ask: give `--yes` too.")
    console = people()
    with connect_to_change(settings.database(), name="finish", what="`replank finish`") as connection:
        finishing = Finishing(
            connection=connection,
            say=lambda words: console.print(words, markup=False),
            sleep=time.sleep,
            random_source=random.Random(),
        )
        run = finishing.the_run()
        found = finishing.leftovers(run)
        if found and not yes:
            _ask(run, found, finishing.outlook(run))
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
        console.print(f"Run {done.run_id} is finished already; nothing was changed.")
    else:
        console.print(f"Run {done.run_id} is finished: {size(total_bytes(found))} are free, and there is no way back.")


def _ask(run: Run, found: Sequence[Leftover], outlook: str) -> None:
    """Says what goes, and goes on only if a person says so."""
    console = people()
    console.print(f"Run {run.run_id} of plan {run.plan_name}. This will be dropped:")
    for each in found:
        held = "" if each.bytes is None else f"  {size(each.bytes)}"
        console.print(f"  {each.what} {each.name}{held}", markup=False, soft_wrap=True)
    console.print(f"Until now {outlook}; afterwards there is no way back.", markup=False, soft_wrap=True)
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
