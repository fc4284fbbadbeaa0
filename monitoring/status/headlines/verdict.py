"""All that is to be said of a run, the most urgent first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitoring.status.headlines.deliveries import of_broker, of_workers
from monitoring.status.headlines.headline import Headline
from monitoring.status.headlines.running_or_over import running_or_over
from monitoring.status.headlines.stopped import of_problem, of_stopped
from monitoring.status.headlines.unknown import of_unknown
from monitoring.status.headlines.waits import of_waits
from replank.values.states import RunState

if TYPE_CHECKING:
    from monitoring.status.status import Status

STOPS_PROGRESS = frozenset({"no_coordinator", "broker", "no_worker", "stuck"})
"""The run makes no progress until the operator acts: the time left cannot be estimated."""


def headlines(status: Status) -> list[Headline]:
    """The most urgent first; the first one is the verdict. Never empty.

    It is earned: "running" follows from what has ended lately, from living workers on the queues that have jobs, from
    the broker and the coordinator, and never from the run's state alone.
    """
    bad = list(_bad(status))
    return [*bad, *_look(status, are_drained=not no_worker_works(bad))] or [running_or_over(status)]


def no_worker_works(found: list[Headline]) -> bool:
    """Whether the run makes no progress until the operator acts."""
    return any(one.kind in STOPS_PROGRESS for one in found)


def _bad(status: Status) -> Iterator[Headline]:
    yield from of_stopped(status)
    if status.run.state is RunState.RUNNING:
        yield from of_broker(status)
        yield from of_problem(status)
        if not status.run.paused:
            yield from of_workers(status)


def _look(status: Status, *, are_drained: bool) -> Iterator[Headline]:
    if status.run.state is RunState.RUNNING:
        yield from of_waits(status, are_drained=are_drained)
        yield from of_unknown(status)
