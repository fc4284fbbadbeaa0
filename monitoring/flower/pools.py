"""Workers as Flower knows them: who answers, how many processes each pool has, which queues it takes from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

ASK_EVERY_S = 5.0
SHOWN_POOLS = 200


@dataclass(kw_only=True)
class Pools:
    """What workers said last. To be called in the event loop, where Flower keeps it."""

    application: Any
    _asked_at: float = float("-inf")

    def __call__(self) -> list[dict[str, Any]]:
        """`name`, `alive`, `processes` (None where it has not answered yet), `active`, `queues`; the living first."""
        if time.monotonic() - self._asked_at > ASK_EVERY_S:
            self._asked_at = time.monotonic()
            self.application.update_workers()
        heard = self.application.events.state.workers
        asked = self.application.workers
        found = [self._pool(name, heard[name], asked.get(name, {})) for name in sorted(heard)]
        return sorted(found, key=lambda pool: not pool["alive"])[:SHOWN_POOLS]

    def _pool(self, name: str, worker: Any, answers: dict[str, Any]) -> dict[str, Any]:
        pool = answers.get("stats", {}).get("pool", {})
        # Not the concurrency it was started with: the pool may have grown since.
        processes = pool.get("processes")
        return {
            "name": name,
            "alive": bool(worker.alive),
            "processes": len(processes) if isinstance(processes, list) else None,
            "active": getattr(worker, "active", None) or 0,
            "queues": sorted(queue["name"] for queue in answers.get("active_queues", [])),
        }
