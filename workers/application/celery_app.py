"""The Celery application of the workers: one thin task, one connection per child process."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from monitoring.tracing.tracing import Tracing, tracing_from
from replank.errors import MayNot, OtherVersion, ReplankError
from replank.settings import Settings
from replank.values.messages import TASK, celery_settings
from sql.ledger.jobs.consumers import announce
from sql.session.connection import connect
from sql.session.database_wait import DatabaseWait
from workers.application.job_request import JobRequest
from workers.application.report import LONGEST, Report
from workers.execution.bugs import fail_after, is_usable, words_of_bug
from workers.execution.executor import Executor
from workers.execution.lost_session import Ending
from workers.execution.outcome import Outcome
from workers.stopping.refused_worker import Refusals, refuse
from workers.stopping.signals import stops_on_signal
from workers.stopping.soft_stop import worker_name

log = structlog.get_logger()

CANCEL_S = 2.0

PATIENCE_S = 120.0
"""How long a child waits for a server that crashed: only it knows whether its own job was to blame."""

NO_LEDGER = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)
"""It went with its run, by a rollback."""

ANOTHER = "another session may have the job; the coordinator resolves it"
SILENT = "the ledger does not answer; the coordinator resolves it"
"""What became of a delivery that could not be looked up."""

SESSION = {"synchronous_commit": "off"}
"""No commit of a worker waits for the disk: a crash loses lease, data and "done" together or not at all."""


class Child:
    """The executor of this child process, opened after the fork and again after a lost connection."""

    def __init__(self, settings: Settings, queues: Sequence[str], refusals: Refusals) -> None:
        self._settings = settings
        self._queues = queues
        self._refusals = refusals
        self._executor: Executor | None = None
        self._ending: Ending | None = None
        self._has_ledger = False
        self._tracing: Tracing | None = None

    def executor(self) -> Executor:
        if self._executor is not None and not self._has_ledger:
            # Opened before there was a ledger: now it says whose session this has to be.
            self._executor.connection.close()
        if self._executor is None or self._executor.connection.closed:
            # Not before the fork: what sends spans is a thread.
            self._tracing = self._tracing or tracing_from(os.environ)
            name = worker_name(os.getpid())
            connection = connect(self._settings.database(), name=f"worker {name}", settings=SESSION)
            try:
                self._has_ledger = refuse(connection, name)
            except (MayNot, OtherVersion) as error:
                connection.close()
                self._refusals.send(error)
                raise
            announce(connection, self._queues)
            self._ending = Ending(connection)
            structlog.contextvars.bind_contextvars(worker=name)
            self._executor = Executor(
                connection=connection,
                worker=name,
                settings=self._settings,
                random_source=random.Random(),
                tracing=self._tracing,
            )
        return self._executor

    def deliver(self, run_id: int, job_id: int) -> Report:
        """Do what a message asks for, and say what became of it, in the words of monitors.

        Raises SystemExit where this worker is being stopped in the middle of the job.
        """
        try:
            with stops_on_signal():
                executor = self.executor()
                outcome = executor.execute(run_id=run_id, job_id=job_id)
                return Report(outcome=outcome, words=executor.words.get("last", ""))
        except (MayNot, OtherVersion) as error:
            # It is not claimed: it is sent again, and another worker gets it.
            return Report(outcome=Outcome.LOST, words=f"refused: {error}")
        except (psycopg.Error, ReplankError) as error:
            return self.resolve_lost_delivery(job_id, error, patience_s=PATIENCE_S)
        except SystemExit as stopped:
            # It says so itself, and that costs no attempt.
            self.interrupt()
            self.resolve_lost_delivery(job_id, stopped, patience_s=0.0)
            raise
        except Exception as bug:  # noqa: BLE001 - the border of a job: a bug ends this one alone, and is seen
            return self.report(run_id, job_id, bug)

    def resolve_lost_delivery(
        self, job_id: int, error: psycopg.Error | ReplankError | SystemExit, *, patience_s: float
    ) -> Report:
        """A delivery ended early: a new session reads in the ledger what became of it. LOST where that is unknown."""
        log.info("delivery ended early", job=job_id, reason=str(error).strip() or type(error).__name__)
        job = None if self._executor is None else self._executor.claimed.get(job_id)
        ended_by = "" if self._ending is None else self._ending.sqlstate

        def ask(executor: Executor) -> Report | None:
            found = executor.resolve_outcome(job_id, error, job=job, ended_by=ended_by)
            return None if found is None else Report(outcome=found, words=f"session lost, {executor.words['last']}")

        return self._ask(job_id, ask, patience_s=patience_s)

    def report(self, run_id: int, job_id: int, bug: Exception) -> Report:
        """An exception of no known kind: the traceback goes into the log, the job to the operator."""
        log.error("a bug ended a job", run=run_id, job=job_id, exc_info=bug)
        if self._executor is not None and not is_usable(self._executor.connection):
            self.interrupt()

        def ask(executor: Executor) -> Report:
            outcome = fail_after(executor.connection, bug, job_id=job_id, worker=executor.worker)
            return Report(outcome=outcome, words=words_of_bug(bug))

        return self._ask(job_id, ask, patience_s=PATIENCE_S)

    def _ask(self, job_id: int, ask: Callable[[Executor], Report | None], *, patience_s: float) -> Report:
        """The ledger's answer, on a new session where the old one is lost."""
        wait = DatabaseWait(
            limit_s=patience_s,
            say=lambda error, _: log.debug("waiting for the ledger", job=job_id, reason=str(error).strip()),
            may_pass=lambda error: not isinstance(error, (*NO_LEDGER, MayNot, OtherVersion)),
        )
        try:
            return wait.until_answered(lambda: ask(self.executor())) or Report(outcome=Outcome.LOST, words=ANOTHER)
        except NO_LEDGER:
            return Report(outcome=Outcome.NOTHING, words="the ledger of its run is gone")
        except (MayNot, OtherVersion) as error:
            return Report(outcome=Outcome.LOST, words=f"refused: {error}")
        except (psycopg.Error, ReplankError) as later:
            # The ledger was not told, so the sweeper sends the job again.
            log.warning("the ledger does not answer", job=job_id, reason=str(later).strip())
            return Report(outcome=Outcome.LOST, words=SILENT)

    def interrupt(self) -> None:
        """End what this child does on the server, and its session."""
        if self._executor is not None and not self._executor.connection.closed:
            with suppress(psycopg.Error):
                self._executor.connection.cancel_safe(timeout=CANCEL_S)
            self._executor.connection.close()

    def close(self) -> None:
        structlog.contextvars.unbind_contextvars("worker")
        if self._executor is not None:
            self._executor.connection.close()
        if self._tracing is not None:
            self._tracing.close()


def build_app(settings: Settings, *, database: str, queues: Sequence[str], refusals: Refusals) -> Celery:
    """The application of a worker that takes jobs from `queues`. Nothing stays connected until a child starts."""
    app = Celery("replank")
    app.conf.update(celery_settings(settings, database=database))
    child = Child(settings, queues, refusals)

    @app.task(name=TASK, Request=JobRequest, resultrepr_maxsize=LONGEST)  # type: ignore[untyped-decorator]
    def execute(run_id: int, job_id: int) -> Report:
        return child.deliver(run_id, job_id)

    @worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
    def open_early(**_: Any) -> None:
        try:
            child.executor()
        except ReplankError as error:
            log.info("no connection yet", reason=str(error))

    @worker_process_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    def close(**_: Any) -> None:
        child.close()

    return app
