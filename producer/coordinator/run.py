"""`replank run`: the coordinator in the foreground, with progress, and workers beside it if asked."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import structlog

from monitoring.terminal.activity_screen import ActivityScreen
from monitoring.terminal.output import people
from monitoring.tracing.tracing import Tracing, traces_wanted, tracing_from
from producer.coordinator.broker_watch import BrokerWatch
from producer.coordinator.coordinator import Coordinator
from producer.coordinator.facts import Facts
from producer.coordinator.local_workers import LocalWorkers
from producer.coordinator.notices import Notices
from producer.coordinator.progress import Progress
from producer.coordinator.reconnect import coordinate_until_done
from producer.coordinator.worker_log import worker_log
from producer.dispatch.dispatcher import Dispatcher
from producer.notifications.following import Notifier
from producer.notifications.receivers import receivers_of
from producer.planning.plan_session import connect_for_plan
from producer.planning.resolution import PlanFile
from producer.starting.announce_preparation import announced_preparation
from producer.starting.begin import begin_or_resume
from producer.waiting.leader import wait_to_lead
from producer.waiting.sigterm import Terminated, interrupted_by_sigterm
from replank.activity import doing
from replank.errors import ReplankError
from replank.plan.operation.after_cutover_plan import pooler_addresses
from replank.settings import Settings, without_password
from replank.values.states import RunState
from replank.values.steps import STEPS, Step
from sql.access.roles import refuse_who_cannot_work
from sql.ledger.runs.pool_sizes import wanted_sizes
from sql.ledger.runs.refusals import listen, note_notifications
from sql.ledger.runs.runs import Run
from sql.ledger.runs.worker_logs import WorkerLog
from sql.ledger.runs.worker_logs import keep as keep_worker_log
from sql.session.connection import Connection, connect
from sql.session.database_identity import database_identity

log = structlog.get_logger()

SHOW_EVERY_S = 0.5
PATIENCE_S = 300.0

SESSION = {"lock_timeout": "5s", "synchronous_commit": "off"}
"""Small steps need not wait for the disk: a crash undoes the last ones, and the ledger with them. What
is reported to the operator (a cutover, the end of the run) does wait.
"""


STOPPED = "The coordinator was stopped. The ledger has what was done; run the same command again to continue."
STOPPED_BEFORE = "The run was stopped while it was being prepared. No table was changed; run the same command again."


class Stopped(ReplankError):
    """The coordinator was asked to stop; the ledger has everything."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is driven: `workers` local ones beside it, up to the step `until`, with the scripts in a folder."""

    workers: int = 0
    hold_cutover: bool = False
    quiet: bool = False
    until: Step = STEPS[-1]
    scripts_in: Path | None = None


def run_plan(file: PlanFile, settings: Settings, options: RunOptions) -> tuple[Run, bool]:
    """Begin or continue the plan's run. Returns the run and whether it had finished before."""
    with worker_log(file.plan.name, wanted=options.workers > 0) as log_file:
        if log_file is not None and not options.quiet:
            people().print(f"The local workers write their log to {log_file}", markup=False, soft_wrap=True)
        return _run_plan(file, settings, options, log_file)


def _run_plan(file: PlanFile, settings: Settings, options: RunOptions, log_file: Path | None) -> tuple[Run, bool]:
    tracing = tracing_from(os.environ)
    receivers = receivers_of(file.plan.notifications, os.environ)
    pooler_addresses(file.plan.after_cutover, os.environ)
    begun = _begin(file, settings, options, log_file)
    if begun.run.state is not RunState.RUNNING:
        return begun.run, begun.run.state in (RunState.DONE, RunState.FINISHED)
    with Notifier(settings.database(), begun.run.run_id, file.plan.notifications, receivers):
        run = _coordinate(begun, settings, options, log_file)
    _send_trace(settings, tracing, run)
    return run, False


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """A run that is in the ledger, and who sends its jobs."""

    run: Run
    identity: str
    dispatcher: Dispatcher


def _begin(file: PlanFile, settings: Settings, options: RunOptions, log_file: Path | None) -> _Begun:
    """Begin the plan's run, or continue the one that exists; other sessions see what is being prepared."""
    with ExitStack() as stack:
        if not options.quiet:
            # What follows in a log are the lines of the run itself, each with its time.
            stack.enter_context(ActivityScreen(people(), quiet_s=0.0, say=lambda words: log.info(words)))
        stack.enter_context(_on_sigterm(STOPPED_BEFORE))
        doing(f"connecting to {without_password(settings.database())}")
        connection = stack.enter_context(connect_for_plan(settings, file.plan, name="setup"))
        refuse_who_cannot_work(connection, "`replank run`")
        # Workers may be refused while this takes its time: the ledger of the run, or of one before, is there already.
        listen(connection)
        identity = database_identity(connection)
        stack.enter_context(announced_preparation(settings.database(), identity, plan=file.plan.name))
        dispatcher = Dispatcher(settings, database=identity)
        run = begin_or_resume(
            connection,
            file,
            hold_cutover=options.hold_cutover,
            before_first_write=dispatcher.ping,
            scripts_in=options.scripts_in,
        )
        note_notifications(connection, run.run_id)
        if log_file is not None and run.state is RunState.RUNNING:
            keep_worker_log(connection, run.run_id, WorkerLog(host=socket.gethostname(), file=str(log_file)))
    return _Begun(run=run, identity=identity, dispatcher=dispatcher)


def _coordinate(begun: _Begun, settings: Settings, options: RunOptions, log_file: Path | None) -> Run:
    """Drive the run, with local workers beside it if asked, until it is settled."""
    run_id = begun.run.run_id
    with ExitStack() as stack:
        end_if_asked = stack.enter_context(_on_sigterm(STOPPED))
        local = None
        if log_file is not None:
            local = stack.enter_context(LocalWorkers(settings, count=options.workers, log_file=log_file))
        progress = None if options.quiet else stack.enter_context(Progress(every_s=SHOW_EVERY_S))
        stack.callback(begun.dispatcher.close)
        broker = stack.enter_context(BrokerWatch(settings, database=begun.identity))

        def coordinator(connection: Connection) -> Coordinator:
            notices = Notices(connection=connection, workers_start=local is not None)
            return Coordinator(
                connection=connection,
                settings=settings,
                run_id=run_id,
                dispatcher=begun.dispatcher,
                between_turns=_after_each_turn(connection, run_id, broker, local, progress, notices, end_if_asked),
                until=options.until,
            )

        return coordinate_until_done(lambda: _lead(settings), coordinator, patience_s=PATIENCE_S)


def _send_trace(settings: Settings, tracing: Tracing, run: Run) -> None:
    """When the run has ended or stopped. The ledger may be gone by then, which is no error."""
    if not traces_wanted(os.environ):
        return
    try:
        with connect(settings.database(), name="tracing") as connection:
            tracing.run_ended(connection, run.run_id)
    except (psycopg.Error, ReplankError) as error:
        log.info("the run's trace was not written", reason=str(error).strip())
    tracing.close()


def _lead(settings: Settings) -> Connection:
    connection = connect(settings.database(), name="coordinator", settings=SESSION)
    wait_to_lead(connection, sleep=time.sleep, say=lambda words: log.info(words))
    return connection


def _after_each_turn(
    connection: Connection,
    run_id: int,
    broker: BrokerWatch,
    local: LocalWorkers | None,
    progress: Progress | None,
    notices: Notices,
    end_if_asked: Callable[[], None],
) -> Callable[[Facts], None]:
    def turn(facts: Facts) -> None:
        end_if_asked()
        broker.write(connection)
        notices.report_changes(facts)
        if local is not None:
            local.watch(lambda: wanted_sizes(connection, run_id, local.name))
        if progress is not None:
            progress.show(connection)

    return turn


@contextmanager
def _on_sigterm(words: str) -> Iterator[Callable[[], None]]:
    """SIGTERM ends the command like Ctrl-C: the statement under way is cancelled, and local workers are stopped.

    Yields what ends it where a library has lost that. Raises Stopped with `words`.
    """
    try:
        with interrupted_by_sigterm() as end_if_asked:
            yield end_if_asked
    except Terminated:
        raise Stopped(words) from None
