"""`replank cutover`, `pause`, `resume`, `throttle` and `retry`: what an operator says to a run that is under way."""

from __future__ import annotations

from typing import Annotated

import typer
from psycopg.errors import UniqueViolation

from monitoring.output import people
from replank.errors import WrongUse
from replank.settings import load_settings
from replank.states import JobKind, RunState, TableState
from sql.connection import Connection, connect
from sql.ledger import jobs, runs, tables
from sql.ledger.runs import Run

DatabaseUrl = Annotated[str | None, typer.Option(help="Overrides REPLANK_DATABASE_URL.")]


def register(app: typer.Typer) -> None:
    app.command("cutover")(cutover)
    app.command("retry")(retry)
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("throttle")(throttle)


def cutover(database_url: DatabaseUrl = None) -> None:
    """Let a run that was started with --hold-cutover swap its tables as soon as they are ready."""
    _change("cutover", database_url, hold_cutover=False)


def pause(database_url: DatabaseUrl = None) -> None:
    """Start no further job. Jobs under way end; capture goes on."""
    _change("pause", database_url, paused=True)


def resume(database_url: DatabaseUrl = None) -> None:
    """Go on after `replank pause`."""
    _change("resume", database_url, paused=False)


def throttle(
    max_window: Annotated[
        int | None, typer.Option(min=1, max=1_000, help="The most jobs in flight, in place of the plan's limit.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="The plan's limit holds again.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Change the most jobs in flight while the run goes on. The governor still lowers it where a signal asks."""
    if (max_window is None) is not reset:
        raise WrongUse("Say either --max-window N or --reset.")
    settings = load_settings(database_url=database_url)
    limit = "the plan's limit" if max_window is None else f"at most {max_window} jobs in flight"
    with connect(settings.database(), name="throttle") as connection:
        present = _open_run(connection)
        with connection.transaction():
            runs.set_limit(connection, present.run_id, max_window)
            runs.add_event(connection, present.run_id, actor="operator", kind="throttle", message=limit)
            jobs.wake_up(connection)
    people().print(f"Run {present.run_id}: {limit}.", markup=False)


def _change(
    what: str, database_url: str | None, *, paused: bool | None = None, hold_cutover: bool | None = None
) -> None:
    settings = load_settings(database_url=database_url)
    with connect(settings.database(), name=what) as connection:
        present = _open_run(connection)
        with connection.transaction():
            runs.set_flags(connection, present.run_id, paused=paused, hold_cutover=hold_cutover)
            runs.add_event(connection, present.run_id, actor="operator", kind=what)
            jobs.wake_up(connection)
    people().print(f"Run {present.run_id}: {what} is noted.")


def _open_run(connection: Connection) -> Run:
    present = runs.open_run(connection) if runs.ledger_exists(connection) else None
    if present is None:
        raise WrongUse("No run is open on this database.")
    return present


def retry(database_url: DatabaseUrl = None) -> None:
    """Have everything that failed tried again by the next `replank run PLAN` (or the one under way)."""
    settings = load_settings(database_url=database_url)
    with connect(settings.database(), name="retry") as connection:
        present = _open_run(connection)
        if present.state is RunState.ROLLING_BACK:
            raise WrongUse(f"Run {present.run_id} is being rolled back; `replank rollback` again goes on with that.")
        with connection.transaction():
            count = _drain_corrected(connection, present) + jobs.retry_failed(connection, present.run_id)
            tables.clear_problems(connection, present.run_id)
            runs.set_run_state(connection, present.run_id, RunState.RUNNING, "")
            runs.add_event(connection, present.run_id, actor="operator", kind="retry", message=f"{count} jobs")
            jobs.wake_up(connection)
    people().print(f"Run {present.run_id}: {count} jobs wait again. Go on with `replank run PLAN`.")


def _drain_corrected(connection: Connection, run: Run) -> int:
    """Where a unique index met rows that became one uuid: the corrected rows come in before it is built. How many."""
    failures = jobs.read_failures(connection, run.run_id)
    collided = {
        f["table"] for f in failures if f["kind"] == JobKind.INDEX and f["sqlstate"] == UniqueViolation.sqlstate
    }
    waiting = 0
    for table in tables.read_tables(connection, run.run_id):
        if table.spec.full_name not in collided or table.state is not TableState.INDEXING:
            continue
        waiting += sum(1 for f in failures if f["table"] == table.spec.full_name)
        jobs.cancel(connection, table.spec)
        jobs.add_jobs(
            connection,
            table.spec,
            JobKind.DRAIN,
            step=run.plan.steps.carrier,
            generation=table.generation,
            details=[{"compare": False, "by_index": False}],
        )
        tables.move_table(connection, table.spec, TableState.FIRST_DRAIN)
    return waiting
