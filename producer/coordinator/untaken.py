"""Jobs that lie in a queue because nobody takes them: told from those on their way by who is connected."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from replank.values.messages import QUEUE_OF
from replank.values.states import JobKind
from replank.wording import counted
from sql.ledger.jobs.consumers import processes_by_queue
from sql.ledger.reading import metrics
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

WORKERS = "workers"
QUEUE = "queue "

UNTAKEN_S = 3.0
"""Jobs that lie in a queue for less than this may be on their way."""

STARTING_S = 20.0
"""So long local workers may take to start, on a machine with much else to do."""


@dataclass(kw_only=True)
class Untaken:
    """Looks for one run. `workers_start` says that workers were started beside it, and may need a while."""

    connection: Connection
    workers_start: bool = False
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _since: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def look(self, run: Run) -> dict[str, str] | None:
        """What nobody takes, with the command that helps, by `WORKERS` or `QUEUE` and a name; None if not known."""
        now = self.clock()
        if run.paused or not run.window_now:
            return None
        jobs = self._jobs(run)
        self._since = {queue: self._since.get(queue, now) for queue in jobs}
        late = {queue: count for queue, count in jobs.items() if now - self._since[queue] >= UNTAKEN_S}
        if not late:
            return {} if not jobs else None
        if self.workers_start and now - self._began < STARTING_S:
            return None
        processes = processes_by_queue(self.connection)
        if not any(processes.values()):
            return {WORKERS: _no_worker(sum(late.values()))}
        return {f"{QUEUE}{queue}": _unheard(queue, late[queue]) for queue in sorted(late) if not processes[queue]}

    def _jobs(self, run: Run) -> dict[str, int]:
        jobs: dict[str, int] = {}
        for kind, count in metrics.untaken(self.connection, run.run_id).items():
            queue = QUEUE_OF[JobKind(kind)]
            jobs[queue] = jobs.get(queue, 0) + count
        return jobs


def _no_worker(jobs: int) -> str:
    return (
        f"{counted(jobs, 'job', 'waits')} and no worker is connected: start one with "
        "`replank worker`, on any host that reaches database and broker"
    )


def _unheard(queue: str, jobs: int) -> str:
    return (
        f"{counted(jobs, 'job', 'waits')} and no worker takes jobs of the queue {queue}: start one with "
        f"`replank worker --queues {queue}`"
    )
