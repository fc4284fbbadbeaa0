"""Why a run makes no progress, logged by `run` when that changes: queues without workers, pauses, holds, windows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import structlog

from monitoring.status.untaken import untaken
from producer.coordinator.facts import Facts
from replank.values.states import RunState, TableState
from replank.wording import counted
from sql.ledger.reading.signs import QueueSigns, read_queues
from sql.ledger.runs.events import add_event
from sql.ledger.runs.restraints import Restraint
from sql.session.connection import Connection

log = structlog.get_logger()

CHECK_EVERY_S = 1.0

CLOSED_S = 10.0
"""The governor closes and opens its window as it goes; this long is worth a word."""

STARTING_S = 20.0
"""So long local workers may take to start, on a machine with much else to do."""

Kind = Literal["no_worker", "no_consumer", "pause", "hold", "window", "governor", "operator"]

Key = tuple[Kind, str]
"""What is said, and of which queue, where it is said of one."""

OF_WORKERS = frozenset[Kind]({"no_worker", "no_consumer"})

_OVER: dict[Kind, str] = {
    "no_worker": "a worker is connected again",
    "no_consumer": "a worker consumes from queue {} again",
    "pause": "no pause is in force any more",
    "hold": "the cutover is no longer held",
    "window": "the cutover window is open",
    "governor": "jobs are sent again",
    "operator": "the run no longer needs the operator",
}


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing to say. It is said again where its `subject` is another one; figures in the words change."""

    kind: Kind
    words: str
    queue: str = ""
    subject: str = ""

    @property
    def key(self) -> Key:
        return self.kind, self.queue


@dataclass(kw_only=True)
class Notices:
    """Looks once a second. What waits for workers becomes an event of the ledger too; the rest is one already.

    `workers_start` says that workers were started beside the coordinator, and may need a while.
    """

    connection: Connection
    workers_start: bool = False
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _checked_at: float = float("-inf")
    _closed_since: float | None = None
    _reported: dict[Key, Notice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def report_changes(self, facts: Facts) -> None:
        """To be called at the end of each turn of the coordinator, with what the turn has read."""
        now = self.clock()
        if now - self._checked_at < CHECK_EVERY_S or facts.run.state is not RunState.RUNNING:
            return
        self._checked_at = now
        found = [*_of_operators(facts), *self._of_governor(facts, now), *self._of_workers(facts, now)]
        self._report(facts, {notice.key: notice for notice in found})

    def _report(self, facts: Facts, found: dict[Key, Notice]) -> None:
        for key in [key for key in self._reported if key not in found]:
            kind, queue = key
            self._log_notice(facts, kind, _OVER[kind].format(queue))
            del self._reported[key]
        for key, notice in found.items():
            if key not in self._reported or notice.subject != self._reported[key].subject:
                self._log_notice(facts, notice.kind, notice.words)
                self._reported[key] = notice

    def _log_notice(self, facts: Facts, kind: Kind, words: str) -> None:
        log.info(words)
        if kind in OF_WORKERS:
            add_event(self.connection, facts.run.run_id, actor="coordinator", kind="workers", message=words)

    def _of_workers(self, facts: Facts, now: float) -> Iterator[Notice]:
        """Queues without workers, with the command that starts one. Without new facts the last notices are kept."""
        said = [notice for notice in self._reported.values() if notice.kind in OF_WORKERS]
        starting = self.workers_start and now - self._began < STARTING_S
        if facts.run.paused or not facts.run.window_now or starting:
            yield from said
            return
        found = untaken(read_queues(self.connection, facts.run.run_id, facts.processes))
        if found.unsure:
            yield from said
        elif found.queues and found.no_worker:
            yield _no_worker(found.jobs)
        else:
            yield from (_no_consumer(queue) for queue in found.queues)

    def _of_governor(self, facts: Facts, now: float) -> Iterator[Notice]:
        if facts.run.paused or facts.run.window_now:
            self._closed_since = None
            return
        self._closed_since = now if self._closed_since is None else self._closed_since
        if now - self._closed_since >= CLOSED_S:
            yield Notice(kind="governor", words=f"no job is sent: {facts.run.window_reason}")


def _of_operators(facts: Facts) -> Iterator[Notice]:
    """What an operator or the plan holds back."""
    pauses = [each for each in facts.held_back if each.kind == "pause"]
    if pauses:
        since = ", ".join(pause.since.isoformat() for pause in pauses)
        yield Notice(kind="pause", words="; ".join(map(_pause, pauses)), subject=since)
    if facts.run.reason:
        yield Notice(kind="operator", words=f"the run needs the operator: {facts.run.reason}", subject=facts.run.reason)
    ready = _ready_sets(facts)
    if ready and facts.run.hold_cutover:
        words = f"{counted(ready, 'set', 'is')} ready, and the cutover is held: `replank cutover` starts it"
        yield Notice(kind="hold", words=words)
    elif ready and facts.window is not None and facts.window.reason:
        yield Notice(kind="window", words=f"the cutover waits: {facts.window.reason}", subject=facts.window.name)


def _ready_sets(facts: Facts) -> int:
    """Sets that only wait for their cutover."""
    unready = {table.set_no for table in facts.tables if table.state is not TableState.READY}
    waiting = {one.set_no for one in facts.sets if one.swapped_at is None}
    return len(waiting - unready)


def _pause(pause: Restraint) -> str:
    return f"{pause.words}; `{pause.freed_by}` lifts the pause"


def _no_worker(jobs: int) -> Notice:
    words = (
        f"{counted(jobs, 'job', 'waits')}, and no worker is connected: start one with "
        "`replank worker` on any host that can connect to the database and the broker"
    )
    return Notice(kind="no_worker", words=words)


def _no_consumer(queue: QueueSigns) -> Notice:
    words = (
        f"{counted(queue.sent, 'job', 'waits')}, and no worker consumes from queue {queue.name}: start one with "
        f"`replank worker --queues {queue.name}`"
    )
    return Notice(kind="no_consumer", words=words, queue=queue.name)
