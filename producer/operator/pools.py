"""The running workers' pools, asked and changed by Celery's remote control."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from replank.settings import Settings
from replank.values.messages import QUEUES, broker_error, celery_settings
from replank.wording import counted, verb

ANSWER_S = 2.0
"""How long workers are waited for: how many there are is not known before."""

BUSY_S = 20.0
"""A process at work is not taken away: so long a pool that shall shrink is asked again."""

ASK_AGAIN_S = 0.2

SETTLED_S = 1.0
"""An idle process that is told to end has ended after a tenth of it."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A running worker's processes, and the queues they take jobs from. `follows_window`: it was started with
    --autoscale and takes no number."""

    worker: str
    processes: int
    follows_window: bool
    queues: frozenset[str] = frozenset(QUEUES)


class Pools:
    """Remote control of every worker of one database."""

    def __init__(self, settings: Settings, *, database: str) -> None:
        self._app = Celery("replank-control", set_as_current=False)
        self._app.conf.update(celery_settings(settings, database=database))

    def __enter__(self) -> Pools:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._app.close()

    def read_pools(self, *, only: str | None = None) -> list[Pool]:
        """The workers that answer, by name. Raises CannotConnect if the broker does not."""
        found = self._inspect("stats", [] if only is None else [only])
        queues = self._inspect("active_queues", list(found)) if found else {}
        return [_pool(worker, found[worker], queues.get(worker, [])) for worker in sorted(found)]

    def _inspect(self, question: str, workers: Sequence[str]) -> Mapping[str, Any]:
        """What each worker answers; those that are named are waited for no longer than until all have answered."""
        named = {"destination": list(workers), "limit": len(workers)} if workers else {}
        found = self._ask(lambda: getattr(self._app.control.inspect(timeout=ANSWER_S, **named), question)())
        return found or {}

    def change(self, pool: Pool, target: int) -> str:
        """Bring one worker's pool to `target` processes. Why it did not come there; empty if it did."""
        if target > pool.processes:
            problem = self._send(pool.worker, "pool_grow", target - pool.processes)
            return problem or self._await(pool.worker, target)
        deadline = time.monotonic() + BUSY_S
        left = pool.processes - target
        while left > 0:
            problem = self._send(pool.worker, "pool_shrink", left)
            if not problem:
                break
            if "busy" not in problem:
                return problem
            if time.monotonic() > deadline:
                return (
                    f"{counted(left, 'process')} too many {verb(left, 'is')} busy. Run the command again when "
                    f"{verb(left, 'it')} {verb(left, 'is')} idle, or pause the run"
                )
            # It has taken away those that were idle, and does not say how many.
            left = self._count_when_stable(pool.worker) - target
        return self._await(pool.worker, target)

    def _count_when_stable(self, worker: str) -> int:
        """Its processes, when all that were told to end have ended: a pool would tell one twice, and count it twice."""
        before, present = -1, self._count(worker)
        while before != present:
            time.sleep(SETTLED_S)
            before, present = present, self._count(worker)
        return present

    def _count(self, worker: str) -> int:
        return sum(pool.processes for pool in self.read_pools(only=worker))

    def _send(self, worker: str, command: str, count: int) -> str:
        """The worker's own error, or that it does not answer; empty if it agreed."""
        replies = self._ask(
            lambda: self._app.control.broadcast(
                command, {"n": count}, destination=[worker], reply=True, timeout=ANSWER_S, limit=1
            )
        )
        for reply in replies or []:
            said: Mapping[str, Any] = reply.get(worker, {})
            return str(said["error"]) if "error" in said else ""
        return "it does not answer any more"

    def _await(self, worker: str, target: int) -> str:
        """Until the worker itself says that it has so many."""
        deadline = time.monotonic() + BUSY_S
        present = self.read_pools(only=worker)
        while not present or present[0].processes != target:
            if time.monotonic() > deadline:
                return f"it has {counted(present[0].processes if present else 0, 'process')} after {BUSY_S:.0f} s"
            time.sleep(ASK_AGAIN_S)
            present = self.read_pools(only=worker)
        return ""

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (OperationalError, RedisError, OSError) as error:
            raise broker_error(str(self._app.conf.broker_url), error) from None


def _pool(worker: str, stats: Mapping[str, Any], queues: Sequence[Mapping[str, Any]]) -> Pool:
    found = stats.get("pool", {})
    processes = found.get("processes")
    count = len(processes) if isinstance(processes, list) else int(found.get("max-concurrency", 0))
    taken = frozenset(str(queue["name"]) for queue in queues)
    return Pool(worker=worker, processes=count, follows_window="autoscaler" in stats, queues=taken)
