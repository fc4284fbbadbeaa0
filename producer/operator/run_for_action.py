"""What all actions share: the run they are for, and the event they leave."""

from __future__ import annotations

from producer.operator.operator import Operator
from replank.errors import WrongUse
from replank.values.states import OPEN_RUNS, RunState
from sql.ledger.jobs import claims
from sql.ledger.runs import runs
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection
from sql.session.leader_lock import read_leader


class NoOpenRun(WrongUse):
    """No run is under way on this database: there is nothing to act on."""


def open_run(connection: Connection) -> Run:
    """The run that is under way. Raises NoOpenRun where there is none."""
    present = runs.open_run(connection)
    if present is None:
        raise NoOpenRun("No run is open on this database.")
    return present


def present_run(connection: Connection) -> Run:
    """The run that is under way, or else the newest one, which may be about to be finished."""
    present = runs.open_run(connection)
    latest = present or runs.latest_run(connection)
    if latest is None or latest.state is RunState.ROLLED_BACK:
        return open_run(connection)
    return latest


def refuse_rolling_back(run: Run) -> None:
    if run.state is RunState.ROLLING_BACK:
        raise WrongUse(f"Run {run.run_id} is being rolled back. Run `replank rollback` again to continue.")


def refuse_idle(connection: Connection, run: Run) -> None:
    """Of a run that is over, only a `finish` or a `rollback` can be under way."""
    if run.state not in OPEN_RUNS and read_leader(connection) is None:
        raise WrongUse(f"Run {run.run_id} is {run.state}, and no session of it is active. There is nothing to stop.")


def note(connection: Connection, run: Run, by: Operator, kind: str, *, subject: str = "", message: str = "") -> None:
    """In the action's own transaction: the event, and a hint to the coordinator that there is news."""
    said = f"{message} (through the {by.via})" if message else f"through the {by.via}"
    add_event(connection, run.run_id, actor=by.name, kind=kind, subject=subject, message=said)
    claims.wake_up(connection)
