"""`replank fleet`: one plan on many databases."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from typer.core import TyperGroup

from monitoring.fleet.fleet import OVER, UNREACHABLE, FleetStatus, TargetStatus, read_fleet
from monitoring.fleet.fleet_page import fleet_page, write_page
from monitoring.terminal.output import people, print_json
from producer.fleet.display import FleetDisplay, draw_fleet
from producer.fleet.fleet_runs import Fleet
from producer.fleet.one_target import Task
from producer.fleet.order import Limits
from producer.fleet.start_checks import with_refusals
from producer.operator.operator import Operator, operator_of_shell
from producer.operator.pausing import pause, resume
from producer.operator.run_for_action import NoOpenRun, open_run
from producer.operator.scope import WHOLE_RUN
from producer.planning.resolution import ANY_DATABASE, PlanFile, read_plan_file
from producer.waiting.sigterm import interrupted_by_sigterm
from replank.cli.options import As, AsJson, BrokerUrl, LocalWorkers, PlanPath, Targets, Yes
from replank.errors import NoServer, ReplankError, WrongUse
from replank.plan.targets import Target, read_targets, warn_of_readers
from replank.settings import load_settings
from replank.wording import counted, verb
from sql.access.roles import connect_to_change
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

AtOnce = Annotated[int, typer.Option(min=1, help="Databases at once.")]
PerHost = Annotated[int, typer.Option(min=1, help="Databases at once on one host and port.")]
Page = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE.html", help="Write a page of all databases, and keep it up to date."),
]
Logs = Annotated[Path | None, typer.Option(help="The folder for the log file of each database's process.")]

SHOWN_LINES = 500


class _RunUnlessNamed(TyperGroup):
    """`replank fleet PLAN` is `replank fleet run PLAN`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return list(super().parse_args(ctx, args))


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=_RunUnlessNamed,
        help="One plan on many databases.\n\nExample: replank fleet status --targets tenants",
        no_args_is_help=True,
    )
    group.command("run")(fleet_run)
    group.command("status")(fleet_status)
    group.command("pause")(fleet_pause)
    group.command("resume")(fleet_resume)
    group.command("rollback")(fleet_rollback)
    app.add_typer(group, name="fleet")


def fleet_run(
    plan: PlanPath,
    targets: Targets,
    at_once: AtOnce = 4,
    per_host: PerHost = 2,
    workers: LocalWorkers = 2,
    canary: Annotated[
        int, typer.Option(min=0, help="The number of databases to complete first, before any other begins.")
    ] = 0,
    stop_after: Annotated[
        int | None, typer.Option(min=1, help="After this number of failures no other database begins.")
    ] = None,
    out: Page = None,
    logs: Logs = None,
    as_json: AsJson = False,
    broker_url: BrokerUrl = None,
) -> None:
    """Run the plan on every database that is not done. After a stop, the same command continues.

    The plan's database is named "*".

    Example: replank fleet run plan.toml --targets tenants --canary 2 --at-once 4
    """
    file = _fleet_plan(plan)
    _drive(
        _read(targets),
        task="run",
        plan=plan,
        limits=Limits(at_once=at_once, per_host=per_host, canaries=canary, stop_after=stop_after),
        workers=workers,
        broker_url=broker_url,
        out=out,
        logs=logs,
        as_json=as_json,
        is_done=_done_with(file),
    )


def _fleet_plan(path: Path) -> PlanFile:
    """The plan. Raises WrongUse where it is for one database alone."""
    file = read_plan_file(path)
    if file.plan.database.name != ANY_DATABASE:
        raise WrongUse(
            f"{file.at('database', 'name')}: this plan is for database {file.plan.database.name} alone. For a fleet "
            f'write name = "{ANY_DATABASE}", and no system_identifier.'
        )
    return file


def _done_with(file: PlanFile) -> Callable[[TargetStatus], bool]:
    """Whether a database is done with this plan."""
    digest = file.plan.digest()
    return lambda one: one.state in OVER and one.plan_digest == digest


def fleet_rollback(
    targets: Targets,
    yes: Yes = False,
    at_once: AtOnce = 4,
    per_host: PerHost = 2,
    out: Page = None,
    logs: Logs = None,
    as_json: AsJson = False,
) -> None:
    """Roll back the open or newest run of every database; past tables come back with all later changes.

    Example: replank fleet rollback --targets tenants --yes
    """
    found = _read(targets)
    if not yes:
        raise WrongUse(f"This rolls back {counted(len(found), 'database')}. Add --yes to confirm.")
    _drive(
        found,
        task="rollback",
        plan=None,
        limits=Limits(at_once=at_once, per_host=per_host),
        workers=0,
        broker_url=None,
        out=out,
        logs=logs,
        as_json=as_json,
        is_done=lambda one: one.state in ("waiting", "rolled_back"),
    )


def fleet_status(
    targets: Targets,
    plan: Annotated[
        Path | None, typer.Option(help="Check for each waiting database whether this plan could begin, and why not.")
    ] = None,
    out: Page = None,
    as_json: AsJson = False,
) -> None:
    """Show the state of every database, from its ledger. Exit code 1 if one needs the operator, 3 if none answers.

    Example: replank fleet status --targets tenants --out fleet.html
    """
    found = _read(targets)
    status = read_fleet(found)
    if plan is not None:
        file = _fleet_plan(plan)
        status = with_refusals(status, found, file, is_done=_done_with(file))
    if out is not None:
        write_page(out, fleet_page(status, refresh_s=None))
    if as_json:
        print_json(status.to_json())
    else:
        _print(status)
    if all(target.state == UNREACHABLE for target in status.targets):
        raise typer.Exit(NoServer.exit_code)
    if any(target.needs_operator for target in status.targets):
        raise typer.Exit(1)


def fleet_pause(targets: Targets, by: As = None) -> None:
    """Pause the open run of every database. Databases without a run are not started while `fleet run` is full.

    Example: replank fleet pause --targets tenants
    """
    _each(targets, by, lambda connection, run, who: pause(connection, run, WHOLE_RUN, by=who))


def fleet_resume(targets: Targets, by: As = None) -> None:
    """Continue after `replank fleet pause`.

    Example: replank fleet resume --targets tenants
    """
    _each(targets, by, lambda connection, run, who: resume(connection, run, WHOLE_RUN, by=who))


def _each(targets: Path, by: str | None, act: Callable[[Connection, Run, Operator], str]) -> None:
    """Act on every open run, whatever becomes of the others. Exit 1 where one could not be reached, 3 where none."""
    who, console, missed, away = operator_of_shell(by), people(), 0, 0
    found = _read(targets)
    for target in found:
        try:
            with connect_to_change(target.url, name="fleet", what="`replank fleet`") as connection:
                said = act(connection, open_run(connection), who)
        except (ReplankError, psycopg.Error) as error:
            # A database without an open run has nothing to pause.
            missed += not isinstance(error, NoOpenRun)
            away += isinstance(error, NoServer)
            said = str(error).strip()
        console.print(f"{target.name}: {said}", markup=False, soft_wrap=True)
    if missed:
        raise typer.Exit(NoServer.exit_code if away == len(found) else 1)


def _drive(
    targets: Sequence[Target],
    *,
    task: Task,
    plan: Path | None,
    limits: Limits,
    workers: int,
    broker_url: str | None,
    out: Path | None,
    logs: Path | None,
    as_json: bool,
    is_done: Callable[[TargetStatus], bool],
) -> None:
    if task == "run" and any(target.broker_url is None for target in targets):
        settings = load_settings(broker_url=broker_url)
        broker_url = settings.broker()
    if logs is not None:
        logs.mkdir(parents=True, exist_ok=True)
    if out is not None:
        write_page(out, fleet_page(FleetStatus(targets=())))
    console = people()
    with FleetDisplay(console, page=out) as display, interrupted_by_sigterm():
        fleet = Fleet(
            targets=targets,
            task=task,
            plan=plan,
            limits=limits,
            workers=workers,
            broker_url=broker_url,
            logs=logs or Path(tempfile.mkdtemp(prefix="replank-fleet-")),
            show=display.show,
            is_done=is_done,
        )
        status = fleet.run_all()
    if as_json:
        print_json(status.to_json())
    _print(status)
    late = [target for target in status.targets if not is_done(target)]
    if late:
        console.print(
            f"{len(late)} of {counted(len(targets), 'database')} {verb(len(late), 'is')} not done. The logs of the "
            f"processes are in {fleet.logs}. See `replank failures --database-url URL` for one. Remove its cause, "
            "then run `replank retry` and this command again.",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)


def _print(status: FleetStatus) -> None:
    console = people()
    for line in draw_fleet(status, width=max(console.width, 200), height=SHOWN_LINES):
        console.print(line, soft_wrap=True)


def _read(path: Path) -> list[Target]:
    found = read_targets(path)
    warning = warn_of_readers(path)
    if warning:
        people().print(warning, style="yellow", markup=False, soft_wrap=True)
    return found
