"""A pool that follows the governor's window, between the bounds that its worker was started with.

Celery asks an autoscaler in the worker's event loop, which must not wait: the window is read in a thread of its own.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from celery.worker.autoscale import Autoscaler

from replank.errors import ReplankError
from sql.ledger.runs import runs
from sql.session.connection import Connection, connect
from sql.session.database_wait import DatabaseWait

log = structlog.get_logger()

LOOK_S = 2.0
KEEPALIVE_S = 2.0
"""How often Celery asks; a window that closes and opens again at once costs a process or two."""


def processes_wanted(window: int | None, *, least: int, most: int) -> int:
    """As many as jobs may be in flight; the least where no run is open."""
    return min(max(window or 0, least), most)


class WindowWatch:
    """Reads the window every `LOOK_S` seconds in the background. A database that is gone changes nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._window: int | None = None
        self._thread = threading.Thread(target=self._look_on, name="window", daemon=True)
        self._stopped = threading.Event()

    @property
    def window(self) -> int | None:
        return self._window

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _look_on(self) -> None:
        wait = DatabaseWait(
            limit_s=None,
            say=lambda error, _: log.info(
                "the window cannot be read, the pool stays as it is", reason=str(error).strip()
            ),
            may_pass=lambda _: True,
            stopped=self._stopped.is_set,
            pause=self._stopped.wait,
        )

        def look() -> None:
            with connect(self._url, name="autoscaler") as connection:
                wait.answered()
                while not self._stopped.is_set():
                    self._window = open_window(connection)
                    self._stopped.wait(LOOK_S)

        with suppress(psycopg.Error, ReplankError):
            wait.until_answered(look)


def open_window(connection: Connection) -> int | None:
    """The window of the run that is open; None where none is."""
    run = runs.open_run(connection)
    return None if run is None else run.window_now


class WindowAutoscaler(Autoscaler):  # type: ignore[misc]
    """Celery's autoscaler with another wish: what the ledger allows, not what the worker has been sent."""

    def __init__(
        self, database_url: str, pool: Any, max_concurrency: int, min_concurrency: int = 0, **options: Any
    ) -> None:
        super().__init__(pool, max_concurrency, min_concurrency, **{**options, "keepalive": KEEPALIVE_S})
        self._watch = WindowWatch(database_url)
        self._watch.start()

    @property
    def qty(self) -> int:
        return processes_wanted(self._watch.window, least=self.min_concurrency, most=self.max_concurrency)

    def scale_down(self, n: int) -> None:
        """At once: the window has its own calm. Processes at work stay until they have ended their job.

        Not while one that was told to end still does: the pool would tell it again, and count it twice.
        """
        if len(self.pool._pool._pool) == self.processes:
            self._shrink(n)

    def maybe_scale(self, req: Any = None) -> None:
        """The pool, and how many messages the worker takes in: a small pool would hoard those of others."""
        super().maybe_scale(req)
        consumer = getattr(self.worker, "consumer", None)
        if consumer is None or getattr(consumer, "qos", None) is None:
            return
        # Celery begins with the upper bound, and again so after each reconnection.
        consumer.initial_prefetch_count = self.processes
        change = self.processes - consumer.qos.value
        if change > 0:
            consumer.qos.increment_eventually(change)
        elif change < 0:
            consumer.qos.decrement_eventually(-change)
