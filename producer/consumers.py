"""Which workers answer over the broker, and what queues they take from: asked beside the coordinator's turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from replank.errors import CannotConnect

EVERY_S = 5.0

Ask = Callable[[], Mapping[str, frozenset[str]]]
"""Queues by worker; takes as long as workers are waited for. Raises CannotConnect if the broker does not answer."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What workers said to a question of `asked_at`. None for `queues` where the broker did not answer."""

    asked_at: float
    queues: Mapping[str, frozenset[str]] | None

    @property
    def taken(self) -> frozenset[str]:
        """Queues that anybody takes jobs from."""
        return frozenset().union(*(self.queues or {}).values())


@dataclass(kw_only=True)
class Consumers:
    """Asks in a thread, one question at a time and no more than one each `EVERY_S`."""

    ask: Ask
    clock: Callable[[], float] = time.monotonic
    _answer: Answer | None = None
    _asked_at: float = float("-inf")
    _asking: threading.Thread | None = field(default=None)

    def answer_after(self, moment: float) -> Answer | None:
        """An answer to a question that was put at `moment` or later; None before there is one."""
        now = self.clock()
        if (self._asking is None or not self._asking.is_alive()) and now - self._asked_at >= EVERY_S:
            self._asked_at = now
            self._asking = threading.Thread(target=self._put, args=(now,), name="consumers", daemon=True)
            self._asking.start()
        answer = self._answer
        return answer if answer is not None and answer.asked_at >= moment else None

    def _put(self, now: float) -> None:
        try:
            self._answer = Answer(asked_at=now, queues=self.ask())
        except CannotConnect:
            self._answer = Answer(asked_at=now, queues=None)
