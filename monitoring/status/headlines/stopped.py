"""A run that has stopped, or of which something has failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitoring.status.headlines.activity import last_done
from monitoring.status.headlines.headline import Headline
from replank.values.states import RunState
from replank.wording import counted

if TYPE_CHECKING:
    from monitoring.status.status import Status


def of_stopped(status: Status) -> Iterator[Headline]:
    run, failed = status.run, status.jobs.get("failed", 0)
    if run.state is RunState.ROLLING_BACK and status.asks:
        yield Headline(
            weight="bad",
            kind="rollback_stopped",
            words="The rollback has stopped and needs the operator",
            why=status.asks,
            command="replank rollback",
        )
    if run.state is RunState.NEEDS_OPERATOR and status.at_barrier:
        yield Headline(
            weight="bad",
            kind="needs_operator",
            words="The run has stopped before its data migration",
            why=run.reason,
            command="replank run PLAN",
        )
    elif run.state is RunState.NEEDS_OPERATOR:
        yield Headline(
            weight="bad",
            kind="needs_operator",
            words="The run has stopped and needs the operator",
            why=run.reason,
            button="retry",
            command="replank retry, then replank run PLAN",
        )
    if failed and run.state in (RunState.RUNNING, RunState.NEEDS_OPERATOR):
        yield _failed(status, failed)
    if run.state in (RunState.RUNNING, RunState.ROLLING_BACK) and status.leader is None:
        yield Headline(
            weight="bad",
            kind="no_coordinator",
            words="No coordinator is running: no new job starts",
            why=f"Its session has ended. The ledger has what was done. {last_done(status.signs)}".strip(),
            command="replank run PLAN" if run.state is RunState.RUNNING else "replank rollback",
        )


def of_problem(status: Status) -> Iterator[Headline]:
    """What needs the operator while the rest of the run continues."""
    run = status.run
    if run.reason:
        yield Headline(
            weight="bad",
            kind="problem",
            words="A part of the run needs the operator; the rest waits for its cutover",
            why=run.reason,
            button="retry",
            command="replank retry",
        )


def _failed(status: Status, failed: int) -> Headline:
    failure = None if status.signs is None else status.signs.failure
    of = "" if failure is None else ", with one cause" if failure.causes == 1 else f", with {failure.causes} causes"
    return Headline(
        weight="bad",
        kind="failed",
        words=f"{counted(failed, 'job', 'has')} failed{of}",
        why="" if failure is None else f"{failure.error_class}: {failure.message}",
        button="failures",
        command="replank failures",
    )
