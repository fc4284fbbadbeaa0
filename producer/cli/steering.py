"""What an operator says to a run: `cutover`, `pause`, `resume`, `throttle`, `scale`, `panic`, `retry`, `skip`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from monitoring.terminal.output import people
from producer.operator.holding_cutover import hold_cutover, release_cutover
from producer.operator.operator import Operator, operator_of_shell
from producer.operator.panicking import panic
from producer.operator.pausing import MOST_JOBS, pause, resume, throttle
from producer.operator.retrying import Selection, retry
from producer.operator.run_for_action import open_run, present_run
from producer.operator.scaling import scale
from producer.operator.scope import scope_of
from producer.operator.skipping import skip
from replank.cli.options import As, BrokerUrl, DatabaseUrl, Reason, Table
from replank.errors import WrongUse
from replank.settings import load_settings
from sql.access.roles import connect_to_change
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection
from sql.session.database_identity import database_identity

Phase = Annotated[int | None, typer.Option(help="Only this phase, 1 to 4.")]

Action = Callable[[Connection, Run, Operator], str]


def register(app: typer.Typer) -> None:
    app.command("cutover")(cutover_command)
    app.command("retry")(retry_command)
    app.command("pause")(pause_command)
    app.command("resume")(resume_command)
    app.command("throttle")(throttle_command)
    app.command("panic")(panic_command)
    app.command("skip")(skip_command)
    app.command("scale")(scale_command)


def act(
    name: str,
    database_url: str | None,
    by: str | None,
    action: Action,
    *,
    find: Callable[[Connection], Run] = open_run,
) -> None:
    """Find the run, act, and tell the person what was done."""
    operator = operator_of_shell(by)
    settings = load_settings(database_url=database_url)
    with connect_to_change(settings.database(), name=name, what=f"`replank {name}`") as connection:
        said = action(connection, find(connection), operator)
    people().print(said, markup=False, soft_wrap=True)


def cutover_command(
    hold: Annotated[bool, typer.Option("--hold", help="Hold the cutover instead.")] = False,
    reason: Reason = "",
    by: As = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Let a run that was started with --hold-cutover swap its tables as soon as they are ready.

    Example: replank cutover
    """
    if hold:
        act("cutover", database_url, by, lambda c, run, who: hold_cutover(c, run, by=who, reason=reason))
    else:
        act("cutover", database_url, by, lambda c, run, who: release_cutover(c, run, by=who))


def pause_command(
    phase: Phase = None, table: Table = None, reason: Reason = "", by: As = None, database_url: DatabaseUrl = None
) -> None:
    """Pause the run, a phase or a table: no further job starts. Running jobs are completed; capture continues.

    Example: replank pause --table orders --reason "month-end closing"
    """
    act(
        "pause",
        database_url,
        by,
        lambda c, run, who: pause(c, run, scope_of(c, run, phase=phase, table=table), by=who, reason=reason),
        find=present_run,
    )


def resume_command(phase: Phase = None, table: Table = None, by: As = None, database_url: DatabaseUrl = None) -> None:
    """Continue after `replank pause` or `replank panic`, in the same scope.

    Example: replank resume --table orders
    """
    act(
        "resume",
        database_url,
        by,
        lambda c, run, who: resume(c, run, scope_of(c, run, phase=phase, table=table), by=who),
        find=present_run,
    )


def throttle_command(
    max_window: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_JOBS, help="The maximum of jobs in flight, instead of the plan's limit."),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Use the plan's limit again.")] = False,
    phase: Phase = None,
    table: Table = None,
    reason: Reason = "",
    by: As = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Change the maximum of jobs in flight during the run. The governor can still lower it.

    Example: replank throttle --max-window 2 --reason "busy hour"
    """
    if (max_window is None) is not reset:
        raise WrongUse("Give either --max-window N or --reset.")
    act(
        "throttle",
        database_url,
        by,
        lambda c, run, who: throttle(
            c, run, scope_of(c, run, phase=phase, table=table), max_window, by=who, reason=reason
        ),
    )


def retry_command(
    jobs: Annotated[
        list[int] | None, typer.Argument(metavar="[JOB]...", help="Job ids, as `failures` shows them.")
    ] = None,
    table: Table = None,
    step: Annotated[str | None, typer.Option(help="Jobs of this step, or of this kind: copy, index, verify …")] = None,
    cause: Annotated[str | None, typer.Option(help="Jobs with this class of errors, or this SQLSTATE.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All failed jobs (the default).")] = False,
    smaller: Annotated[bool, typer.Option("--smaller", help="Split each chunk into halves first.")] = False,
    by: As = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Retry failed jobs, in the running coordinator or at the next `replank run PLAN`.

    Example: replank retry --table orders --cause 23505
    """
    which = Selection(job_ids=tuple(jobs or ()), table=table, step=step, cause=cause)
    if everything and not which.is_everything:
        raise WrongUse("Give either --all, or a selection: job ids, --table, --step, --cause.")
    act("retry", database_url, by, lambda c, run, who: retry(c, run, which, by=who, smaller=smaller))


def panic_command(reason: Reason = "", by: As = None, database_url: DatabaseUrl = None) -> None:
    """Stop all work of the run now; open transactions are rolled back. `replank resume` continues the run.

    Example: replank panic --reason "the application is slow"
    """
    act("panic", database_url, by, lambda c, run, who: panic(c, run, by=who, reason=reason), find=present_run)


def skip_command(
    jobs: Annotated[list[int], typer.Argument(metavar="JOB...", help="Job ids, as `failures` shows them.")],
    reason: Reason,
    by: As = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Skip failed jobs for good, if this loses no data.

    Example: replank skip 1041 --reason "made again tomorrow"
    """
    act("skip", database_url, by, lambda c, run, who: skip(c, run, jobs, reason, by=who))


def scale_command(
    processes: Annotated[int, typer.Argument(min=1, help="The number of processes, over all workers.")],
    worker: Annotated[
        str | None, typer.Option(help="Only this worker, with the name that `replank scale` shows.")
    ] = None,
    by: As = None,
    database_url: DatabaseUrl = None,
    broker_url: BrokerUrl = None,
) -> None:
    """Grow or shrink the pools of running workers to this number of processes in all.

    Example: replank scale 8
    """
    # It brings Celery, whose import takes longer than all the other actions.
    from producer.operator.pools import Pools

    operator = operator_of_shell(by)
    settings = load_settings(database_url=database_url, broker_url=broker_url)
    settings.broker()
    with connect_to_change(settings.database(), name="scale", what="`replank scale`") as connection:
        run = open_run(connection)
        with Pools(settings, database=database_identity(connection)) as pools:
            said = scale(connection, run, pools, processes, by=operator, worker=worker)
    people().print(said, markup=False, soft_wrap=True)
