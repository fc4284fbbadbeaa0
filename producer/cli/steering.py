"""`replank cutover`, `pause`, `resume`, `throttle`, `panic`, `retry`, `skip`: what an operator says to a run."""

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
from producer.operator.saying import open_run, present_run
from producer.operator.scope import scope_of
from producer.operator.skipping import skip
from replank.errors import WrongUse
from replank.settings import load_settings
from sql.access.roles import connect_to_change
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

DatabaseUrl = Annotated[str | None, typer.Option(help="Overrides REPLANK_DATABASE_URL.")]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who you are; the login name otherwise.")]
Reason = Annotated[str, typer.Option(help="Why; it is shown and kept.")]
Phase = Annotated[int | None, typer.Option(help="Only this phase, 1 to 4.")]
Table = Annotated[str | None, typer.Option(help="Only this table or cache, e.g. public.orders.")]

Action = Callable[[Connection, Run, Operator], str]


def register(app: typer.Typer) -> None:
    app.command("cutover")(cutover_command)
    app.command("retry")(retry_command)
    app.command("pause")(pause_command)
    app.command("resume")(resume_command)
    app.command("throttle")(throttle_command)
    app.command("panic")(panic_command)
    app.command("skip")(skip_command)


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
    hold: Annotated[bool, typer.Option("--hold", help="Hold it instead, from now on.")] = False,
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
    """Start no further job of the run, a phase or a table. Jobs under way end; capture goes on.

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
    """Go on after `replank pause` or `replank panic`, in the same scope.

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
        int | None, typer.Option(min=1, max=MOST_JOBS, help="The most jobs in flight, in place of the plan's limit.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="The plan's limit holds again.")] = False,
    phase: Phase = None,
    table: Table = None,
    reason: Reason = "",
    by: As = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Change the most jobs in flight while the run goes on. The governor still lowers it where a signal asks.

    Example: replank throttle --max-window 2 --reason "busy hour"
    """
    if (max_window is None) is not reset:
        raise WrongUse("Say either --max-window N or --reset.")
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
    table: Annotated[str | None, typer.Option(help="Failed jobs of this table or cache.")] = None,
    step: Annotated[str | None, typer.Option(help="Of this step, or of this kind: copy, index, verify …")] = None,
    cause: Annotated[str | None, typer.Option(help="Of this class of errors, or this SQLSTATE.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that failed; so does naming nothing.")] = False,
    smaller: Annotated[bool, typer.Option("--smaller", help="Halve each chunk first.")] = False,
    by: As = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Have what failed tried again by the next `replank run PLAN` (or the one under way).

    Example: replank retry --table orders --cause 23505
    """
    which = Selection(job_ids=tuple(jobs or ()), table=table, step=step, cause=cause)
    if everything and not which.is_everything:
        raise WrongUse("Say either --all, or which: job ids, --table, --step, --cause.")
    act("retry", database_url, by, lambda c, run, who: retry(c, run, which, by=who, smaller=smaller))


def panic_command(reason: Reason = "", by: As = None, database_url: DatabaseUrl = None) -> None:
    """Stop everything of the run now: nothing is left half done, `replank resume` goes on.

    Example: replank panic --reason "the application is slow"
    """
    act("panic", database_url, by, lambda c, run, who: panic(c, run, by=who, reason=reason), find=present_run)


def skip_command(
    jobs: Annotated[list[int], typer.Argument(metavar="JOB...", help="Job ids, as `failures` shows them.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept for good.")],
    by: As = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Leave failed jobs out for good, where that loses nothing.

    Example: replank skip 1041 --reason "made again tomorrow"
    """
    act("skip", database_url, by, lambda c, run, who: skip(c, run, jobs, reason, by=who))
