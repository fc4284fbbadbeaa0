"""`replank rehearse`: the whole plan and its rollback, on a clone that the tool creates."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Annotated

import typer

from monitoring.terminal.activity_screen import ActivityScreen
from monitoring.terminal.output import people, print_json
from producer.cli.inspect_and_check import in_words
from producer.coordinator.run import RunOptions, run_plan
from producer.dispatch.dispatcher import Dispatcher
from producer.gates.programs import program
from producer.planning.resolution import PlanFile, read_plan_file
from producer.rehearsal.rehearsal import Rehearsal, RehearsalOptions
from producer.rehearsal.runs_on_clone import Forward
from replank.activity import doing
from replank.cli.options import AsJson, BrokerUrl, By, DatabaseUrl, LocalWorkers, PlanPath
from replank.errors import NeedsOperator, WrongUse
from replank.isolation import with_extra
from replank.settings import Settings, load_settings
from replank.values.steps import Step
from sql.catalogue.backup_contents import read_place
from sql.ledger.runs.runs import Run
from sql.session.connection import connect
from sql.session.database_identity import database_identity

SERVERS = "replank.clone_servers"

CloneUrl = Annotated[
    str | None,
    typer.Option(
        help="A database on the server for the clone, with a role that can create databases. By default Replank "
        "starts a server."
    ),
]
Again = Annotated[bool, typer.Option(help="After the rollback: run again, and finish.")]
Keep = Annotated[bool, typer.Option(help="Do not drop the clone.")]


def register(app: typer.Typer) -> None:
    app.command("rehearse")(rehearse)


def rehearse(
    plan: PlanPath,
    clone_url: CloneUrl = None,
    workers: LocalWorkers = 2,
    again: Again = False,
    keep: Keep = False,
    by: By = "",
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
    broker_url: BrokerUrl = None,
) -> None:
    """Run the plan on a clone, verify, roll back and compare with the start; record time, WAL, disk and locks.

    Example: replank rehearse plan.toml --clone-url postgresql://user@clone/postgres
    """
    settings = load_settings(database_url=database_url, broker_url=broker_url)
    file = read_plan_file(plan)
    console = people()
    if keep and clone_url is None:
        raise WrongUse("--keep needs --clone-url: the rehearsal's own server is removed at the end.")
    # Without a broker no clone need be made: nothing would be learnt about the plan.
    with connect(settings.database(), name="rehearsal") as connection:
        Dispatcher(settings, database=database_identity(connection)).ping()
    with in_words(), ActivityScreen(people()), _server(clone_url, settings) as server:
        word = Rehearsal(
            file=file,
            settings=settings,
            options=RehearsalOptions(server=server, by=by.strip() or getpass.getuser(), again=again, keep=keep),
            forward=_with_workers(workers),
            say=lambda words: console.print(words, markup=False, soft_wrap=True),
        ).rehearse()
    if as_json:
        print_json({"passed": word.evidence["passed"], "words": word.words, **word.evidence})
    if not word.evidence["passed"]:
        raise NeedsOperator(f"The rehearsal failed: {word.words}")
    console.print(f"Rehearsed: {word.words}. This is recorded for gate `rehearsed`.", markup=False, soft_wrap=True)


def _with_workers(count: int) -> Forward:
    def forward(file: PlanFile, settings: Settings, until: Step) -> Run:
        return run_plan(file, settings, RunOptions(workers=count, quiet=True, until=until))[0]

    return forward


@contextmanager
def _server(clone_url: str | None, settings: Settings) -> Iterator[str]:
    """The server that was named, or an own one of the database's version. Raises WrongUse where there is none."""
    if clone_url is not None:
        yield clone_url
        return
    doing("starting a server for the clone")
    found = next(iter(entry_points(group=SERVERS)), None)
    if found is None:
        raise WrongUse(f"There is no server for the clone. Give one with --clone-url, or {with_extra('embedded')}.")
    with connect(settings.database(), name="rehearsal") as connection:
        major = read_place(connection).major
    folder = program("postgres", fits=lambda there: there == major, wanted=str(major)).path.parent
    with found.load()(binaries=folder) as server:
        yield server.url()
