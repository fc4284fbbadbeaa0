"""What the coordinator sends in each of its turns: jobs up to the window, and again those not claimed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from producer.dispatch.dispatcher import BrokerState, Dispatcher
from replank.values.messages import QUEUE_OF
from replank.values.states import ResendCause
from sql.ledger.jobs import job_queue, resends
from sql.ledger.jobs.job_queue import Sendable
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

log = structlog.get_logger()

READ_EVERY_S = 0.5
"""How often it is asked which queues have workers."""

OTHERS_S = 2.0
"""How often jobs are sent to queues that have none: their first worker makes them due anyhow."""


@dataclass(kw_only=True)
class Sending:
    """One run's jobs on their way to the broker."""

    connection: Connection
    dispatcher: Dispatcher
    resend_after_s: float
    clock: Callable[[], float] = time.monotonic
    _consumed: frozenset[str] | None = None
    _read_at: float = field(default=float("-inf"))
    _others_at: float = field(default=float("-inf"))

    def send(
        self,
        run: Run,
        *,
        window: int,
        names: Callable[[], Mapping[int, str]],
        processes: Callable[[], Mapping[str, int]],
    ) -> None:
        """Send what may go now. What the broker does not take waits in the ledger.

        `names` are the tables' by their numbers, `processes` those that take jobs from each queue; both are asked for
        only where they are needed.
        """
        if window == 0:
            return
        consumed = self._queues_with_workers(run, processes)
        others = self.clock() - self._others_at >= OTHERS_S
        if others:
            self._others_at = self.clock()
        sendables = job_queue.take_for_sending(
            self.connection,
            run.run_id,
            window=window,
            resend_after_s=self.resend_after_s,
            consumed=consumed,
            others=others,
        )
        if not sendables:
            return
        again = [job for job in sendables if job.sends > 1]
        # Before anything is sent: otherwise it would be counted among what is there.
        seen = self.dispatcher.read_state({QUEUE_OF[job.kind] for job in again}) if again else None
        late = self.dispatcher.send(run.run_id, sendables, names())
        if late:
            job_queue.unsend(self.connection, late)
        self._record_resends(run, [job for job in again if job.job_id not in late], consumed, seen)

    def recall(self, run: Run, *, window: int, processes: Callable[[], Mapping[str, int]]) -> None:
        """The window has shrunk: what is sent beyond it waits in the ledger again."""
        job_queue.recall(self.connection, run.run_id, window=window, consumed=self._queues_with_workers(run, processes))

    def _queues_with_workers(self, run: Run, processes: Callable[[], Mapping[str, int]]) -> frozenset[str]:
        """Queues that have workers. Jobs sent to one that has its first worker now are due at once."""
        now = self.clock()
        if self._consumed is None or now - self._read_at >= READ_EVERY_S:
            self._read_at = now
            present = frozenset(queue for queue, n in processes().items() if n)
            if self._consumed is not None and present - self._consumed:
                job_queue.make_due(self.connection, run.run_id, queues=present - self._consumed)
            self._consumed = present
        return self._consumed

    def _record_resends(
        self, run: Run, again: Sequence[Sendable], consumed: frozenset[str], seen: BrokerState | None
    ) -> None:
        """Write down how many were sent again, by the likely cause."""
        counted = Counter(
            ResendCause.NO_WORKER if QUEUE_OF[job.kind] not in consumed else _cause(seen, QUEUE_OF[job.kind])
            for job in again
        )
        for cause, jobs in counted.items():
            log.info("jobs sent again", jobs=jobs, cause=str(cause))
            resends.keep(self.connection, run.run_id, cause=cause, jobs=jobs)


def _cause(seen: BrokerState | None, queue: str) -> ResendCause:
    """Why a message of a queue that has workers was not claimed in time."""
    if seen is None:
        return ResendCause.UNKNOWN
    if seen.messages[queue] > 0:
        return ResendCause.BUSY
    return ResendCause.EVICTED if seen.evicts else ResendCause.LOST
