"""The governor: how many jobs may be in flight now, and why.

This version knows the operator's pause and the plan's limit. Health signals join here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sql.ledger.runs import Run


@dataclass(frozen=True, kw_only=True)
class Window:
    """Jobs in flight: `now` of at most `maximum`, with the reason that is always shown."""

    now: int
    maximum: int
    reason: str


def window(run: Run) -> Window:
    """The window for this turn of the coordinator."""
    maximum = run.plan.options.max_jobs_in_flight
    if run.paused:
        return Window(now=0, maximum=maximum, reason="paused by an operator")
    return Window(now=maximum, maximum=maximum, reason="the plan's limit")
