"""Notifications of commands that work on a run that is there: rollback and finish."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

from producer.notifications.following import Notifier
from producer.notifications.receivers import Receiver, receivers_of
from replank.errors import WrongUse
from sql.ledger.reading.deliveries import Event
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import connect


def notifier_for(database_url: str, run_id: int | None, say: Callable[[str], None]) -> Notifier:
    """For the open run, the one that is named, or else the newest. Where a variable is missing, nothing is sent, and
    `say` is called with the reason: a rollback must not fail for want of a receiver.
    """
    with connect(database_url, name="notify") as connection:
        if not ledger_exists(connection):
            return Notifier(database_url, 0, None, ())
        run = runs.open_run(connection)
        if run is None:
            run = runs.latest_run(connection) if run_id is None else runs.read_run(connection, run_id)
    if run is None:
        return Notifier(database_url, 0, None, ())
    receivers: tuple[Receiver, ...] = ()
    try:
        receivers = receivers_of(run.plan.notifications, os.environ)
    except WrongUse as error:
        say(f"no notifications are sent: {error}")
    return Notifier(database_url, run.run_id, run.plan.notifications, receivers)


def rolled_back(run: Run, *, by: str) -> Event:
    """The last word of a run whose ledger is gone."""
    return Event(
        event_id=0,
        run_id=run.run_id,
        at=datetime.now(UTC),
        actor=by,
        kind="rolled_back",
        subject="",
        message="the run is rolled back",
        plan_name=run.plan_name,
    )
