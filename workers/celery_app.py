"""The Celery application of the workers: one thin task, one connection per child process."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from monitoring.tracing import Tracing, tracing_from
from replank.errors import ReplankError
from replank.messages import TASK, celery_settings
from replank.settings import Settings
from sql.connection import connect
from sql.consumers import announce
from workers.executor import Executor
from workers.losing import Ending
from workers.soft_stop import worker_name
from workers.stopping import stops_politely

log = structlog.get_logger()

LOST = "lost"

CANCEL_S = 2.0

PATIENCE_S = 120.0
"""How long a child waits for a server that crashed: only it knows whether its own job was to blame."""

ASK_AGAIN_S = 0.2

SESSION = {"synchronous_commit": "off"}
"""No commit of a worker waits for the disk: a crash loses lease, data and "done" together or not at all."""


class Child:
    """The executor of this child process, opened after the fork and again after a lost connection."""

    def __init__(self, settings: Settings, queues: Sequence[str]) -> None:
        self._settings = settings
        self._queues = queues
        self._executor: Executor | None = None
        self._ending: Ending | None = None
        self._tracing: Tracing | None = None

    def executor(self) -> Executor:
        if self._executor is None or self._executor.connection.closed:
            # Not before the fork: what sends spans is a thread.
            self._tracing = self._tracing or tracing_from(os.environ)
            name = worker_name(os.getpid())
            connection = connect(self._settings.database(), name=f"worker {name}", settings=SESSION)
            announce(connection, self._queues)
            self._ending = Ending(connection)
            self._executor = Executor(
                connection=connection,
                worker=name,
                settings=self._settings,
                random_source=random.Random(),
                tracing=self._tracing,
            )
        return self._executor

    def settle(self, job_id: int, error: BaseException, *, patience_s: float) -> str:
        """A delivery ended early: a new session reads in the ledger what became of it. "lost" where nobody knows."""
        log.info("delivery ended early", job=job_id, reason=str(error).strip() or type(error).__name__)
        job = None if self._executor is None else self._executor.claimed.get(job_id)
        ended_by = "" if self._ending is None else self._ending.sqlstate
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return str(self.executor().settle(job_id, error, job=job, ended_by=ended_by) or LOST)
            except (psycopg.Error, ReplankError) as later:
                if time.monotonic() > deadline:
                    # The ledger was not told, so the sweeper sends the job again.
                    log.info("the ledger does not answer", job=job_id, reason=str(later).strip())
                    return LOST
            time.sleep(ASK_AGAIN_S)

    def interrupt(self) -> None:
        """End what this child does on the server, and its session."""
        if self._executor is not None and not self._executor.connection.closed:
            with suppress(psycopg.Error):
                self._executor.connection.cancel_safe(timeout=CANCEL_S)
            self._executor.connection.close()

    def close(self) -> None:
        if self._executor is not None:
            self._executor.connection.close()
        if self._tracing is not None:
            self._tracing.close()


def build_app(settings: Settings, *, database: str, queues: Sequence[str]) -> Celery:
    """The application of a worker that takes jobs from `queues`. Nothing stays connected until a child starts."""
    app = Celery("replank")
    app.conf.update(celery_settings(settings, database=database))
    child = Child(settings, queues)

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def execute(run_id: int, job_id: int) -> str:
        try:
            with stops_politely():
                executor = child.executor()
                outcome = executor.execute(run_id=run_id, job_id=job_id)
                return f"{outcome}: {executor.words['last']}" if executor.words else str(outcome)
        except (psycopg.Error, ReplankError) as error:
            return child.settle(job_id, error, patience_s=PATIENCE_S)
        except SystemExit as stopped:
            # This worker is being stopped in the middle of a job: it says so itself, and that costs no attempt.
            child.interrupt()
            child.settle(job_id, stopped, patience_s=0.0)
            raise

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
