"""Cutovers only inside of the plan's windows."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from monitoring.status.gates import CutoverWindow, cutover_window
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

Window = Callable[[], CutoverWindow | None]
"""Whether tables may be swapped now; None where the plan has no windows."""


def anytime() -> CutoverWindow | None:
    """No plan's windows."""
    return None


def window_now(connection: Connection, run: Run) -> CutoverWindow | None:
    """It is taken as closed when an attempt, as long as it may be, would end behind it."""
    options = run.plan.options
    longest = timedelta(milliseconds=options.cutover_wait_ms + options.cutover_hold_budget_ms)
    return cutover_window(connection, run.plan, at_least=longest)


def closing(window: CutoverWindow | None) -> Callable[[], bool]:
    """Whether it has closed since it was asked for: without a query, for it is asked under the lock."""
    if window is None or window.left is None:
        return lambda: False
    deadline = time.monotonic() + window.left.total_seconds()
    return lambda: time.monotonic() >= deadline
