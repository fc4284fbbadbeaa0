"""`replank notify`: tell receivers what the newest run's commands have not told them."""

from __future__ import annotations

import os
import signal
import threading
from typing import Annotated

import typer

from monitoring.terminal.output import people
from producer.notifications.following import Notifier
from producer.notifications.receivers import receivers_of
from replank.cli.options import DatabaseUrl
from replank.errors import WrongUse
from replank.settings import load_settings
from sql.ledger.runs import runs
from sql.session.connection import connect

ONCE_S = 60.0


def register(app: typer.Typer) -> None:
    app.command("notify")(notify)


def notify(
    once: Annotated[
        bool,
        typer.Option("--once", help="Deliver pending notifications, and exit; exit code 1 if not all are delivered."),
    ] = (False),
    database_url: DatabaseUrl = None,
) -> None:
    """Send the newest run's events to the receivers in its plan, until stopped.

    Example: replank notify --once
    """
    settings = load_settings(database_url=database_url)
    with connect(settings.database(), name="notify") as connection:
        run = runs.latest_run(connection)
    if run is None:
        raise WrongUse("There is no run on this database.")
    if run.plan.notifications is None:
        raise WrongUse(f"The plan of run {run.run_id} has no [notifications].")
    receivers = receivers_of(run.plan.notifications, os.environ)
    notifier = Notifier(settings.database(), run.run_id, run.plan.notifications, receivers)
    people().print(f"Run {run.run_id}: {', '.join(each.place for each in receivers)}", markup=False, soft_wrap=True)
    if once:
        notifier.start()
        if not notifier.finish(ONCE_S):
            people().print("Not all notifications were delivered; the ledger keeps the others.")
            raise typer.Exit(1)
        return
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with notifier:
        stopped.wait()
