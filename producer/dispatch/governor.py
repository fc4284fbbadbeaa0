"""The governor: how many jobs may be in flight now, and why."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from producer.dispatch.window import Pace, next_pace
from replank.values.states import WindowCause
from sql.catalogue.catalogue import read_server
from sql.health.health_signals import Machine, read_health
from sql.health.server_machine import local_data_directory
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

READ_EVERY_S = 1.0
"""How often the signals are read."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Jobs in flight: `now` of at most `maximum`, with the reason that is always shown."""

    now: int
    maximum: int
    cause: WindowCause | None
    signal: str
    reason: str


@dataclass(kw_only=True)
class Governor:
    """Follows the health of one database for one coordinator. What it decided last is in the ledger."""

    clock: Callable[[], float] = time.monotonic
    _pace: Pace | None = None
    _machine: Machine | None = None
    _read_at: float = field(default=float("-inf"))

    def window(self, connection: Connection, run: Run) -> Window:
        """The window for this turn of the coordinator. Raises psycopg.OperationalError if the connection is lost."""
        maximum = run.window_limit or run.plan.options.max_jobs_in_flight
        pace = self._read_pace(connection, run, maximum)
        if run.paused:
            return Window(now=0, maximum=maximum, cause=WindowCause.PAUSED, signal="", reason="paused by the operator")
        reason = pace.reason or ("the operator's limit" if run.window_limit else "the plan's limit")
        now = 0 if pace.closed else pace.size
        return Window(now=now, maximum=maximum, cause=pace.cause, signal=pace.signal, reason=reason)

    def _read_pace(self, connection: Connection, run: Run, maximum: int) -> Pace:
        now = self.clock()
        pace = self._pace or _inherited(run)
        if now - self._read_at >= READ_EVERY_S or pace.size > maximum:
            self._read_at = now
            self._machine = self._machine or read_machine(connection)
            readings = read_health(connection, run.plan.governor, self._machine)
            pace = next_pace(pace, readings, maximum=maximum, now=now)
        self._pace = pace
        return pace


def _inherited(run: Run) -> Pace:
    """After a coordinator that was killed, the next one continues with the window that a signal had set."""
    was_over = run.window_cause is WindowCause.OVER
    return Pace(size=run.window_now if was_over else max(run.window_now, 1), doubling=not was_over)


def read_machine(connection: Connection) -> Machine:
    """Processors and disk of the server's machine, where it is this one."""
    directory = local_data_directory(connection, read_server(connection).system_identifier)
    return Machine(cpus=os.cpu_count() if directory else None, data_directory=directory)
