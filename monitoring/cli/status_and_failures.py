"""`replank status`, `replank failures` and `replank catalogue-diff`."""

from __future__ import annotations

from typing import Annotated

import typer

from monitoring.catalogue_diff.changes import catalogue_changes
from monitoring.catalogue_diff.grouping import group_changes
from monitoring.catalogue_diff.rendering import render_changes
from monitoring.failures.failures import failures_json, read_failures, render_failures
from monitoring.status.preparing import Preparing, before_run
from monitoring.status.read_status import NoRun, read_status
from monitoring.terminal.activity_screen import ActivityScreen
from monitoring.terminal.follow import before_run_json, follow, follow_json
from monitoring.terminal.output import people, print_json
from monitoring.terminal.screen import render
from replank.activity import doing
from replank.cli.options import AsJson, DatabaseUrl
from replank.errors import NeedsOperator, WrongUse
from replank.settings import load_settings
from sql.ledger.runs import runs
from sql.ledger.runs.preparation import preparing_session
from sql.session.connection import Connection, connect

PATIENCE = {"lock_timeout": "8s"}
"""Another session may lock the ledger: then that is the news."""


def register(app: typer.Typer) -> None:
    app.command("status")(status)
    app.command("failures")(failures)
    app.command("catalogue-diff")(catalogue_diff)


def status(
    watch: Annotated[
        bool, typer.Option(help="Stay and follow the run until it ends; exit 1 if it needs the operator.")
    ] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """What the run does now: rows, rate, time left, jobs, problems. With --watch --json, an object on each line.

    Example: replank status --watch
    """
    settings = load_settings(database_url=database_url)

    def open_connection() -> Connection:
        return connect(settings.database(), name="status", settings=PATIENCE)

    if watch:
        raise typer.Exit(follow_json(open_connection) if as_json else follow(open_connection, people()))
    with open_connection() as connection:
        prepared = before_run(connection, None, preparing_session(connection))
        try:
            present = read_status(connection)
        except NoRun:
            if prepared is None:
                raise
            _print_prepared(prepared, as_json=as_json)
            return
        if as_json:
            print_json(present.to_json())
        else:
            people().print(render(present))


def _print_prepared(prepared: Preparing, *, as_json: bool) -> None:
    """There is no run yet. Raises NeedsOperator where the process that prepared one has died."""
    if not prepared.alive:
        raise NeedsOperator(prepared.words)
    if as_json:
        print_json(before_run_json(prepared))
    else:
        people().print(prepared.words, markup=False, soft_wrap=True)


def catalogue_diff(
    each: Annotated[bool, typer.Option("--each", help="A line for each object, with its whole definitions.")] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """The catalogue before the newest run against now: empty, or each change explained by the plan. Exit 1 if not.

    Changes that say the same are one line. With --json: lists `explained` and `unexplained`, and the `groups`.

    Example: replank catalogue-diff
    """
    settings = load_settings(database_url=database_url)
    with ActivityScreen(people()), connect(settings.database(), name="catalogue-diff") as connection:
        doing("reading the catalogue and comparing it with what it was")
        run = runs.latest_run(connection)
        if run is None:
            raise WrongUse("There is no run on this database. Begin one with `replank run PLAN`.")
        changes = catalogue_changes(connection, run)
    unexplained = [change for change in changes if not change.explained]
    if as_json:
        print_json(
            {
                "explained": [change.to_json() for change in changes if change.explained],
                "unexplained": [change.to_json() for change in unexplained],
                "groups": [group.to_json() for group in group_changes(changes)],
            }
        )
    else:
        people().print(render_changes(changes, each=each))
    if unexplained:
        raise typer.Exit(1)


def failures(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Jobs that need the operator, by cause: how many, one example with its table and range, what to do next.

    Example: replank failures --json
    """
    settings = load_settings(database_url=database_url)
    with connect(settings.database(), name="failures") as connection:
        run = runs.latest_run(connection)
        if run is None:
            raise WrongUse("There is no run on this database.")
        found = read_failures(connection, run)
    if as_json:
        print_json(failures_json(found))
        return
    render_failures(found)
