"""A worker that is idle and asks the broker for nothing, though jobs are sent, ends itself.

What started it starts it again: systemd, a container's restart policy, or `replank run` for its own workers. What is
wrong with it does not matter (a lost subscription, an event loop that hangs, a broker that only others reach).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import structlog

from replank.errors import ReplankError
from replank.values.states import JobKind
from sql.ledger.jobs import leased
from sql.session.connection import connect

log = structlog.get_logger()

CHECKS_PER_PATIENCE = 10
EXIT_CODE = 1


class DeliveryWatch:
    """When the broker last answered this worker's question for messages, and whether that is too long ago.

    `children` gives the ledger's names of its processes, `kinds` are the kinds of jobs that its queues bring. Times are
    of `clock`, in seconds. A worker with nothing to do asks every second, so the answer may well be "none".
    """

    def __init__(
        self,
        database_url: str,
        *,
        kinds: Sequence[JobKind],
        children: Callable[[], Sequence[str]],
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database_url = database_url
        self._kinds = kinds
        self._children = children
        self._patience_s = patience_s
        self._clock = clock
        self._heard = clock()

    def heard(self) -> None:
        """The broker has answered, or one of the worker's processes has a job."""
        self._heard = self._clock()

    @property
    def silent_s(self) -> float:
        return self._clock() - self._heard

    def missed(self) -> int:
        """Jobs for this worker that were sent in its silence, and that no worker has claimed for its patience."""
        if self.silent_s <= self._patience_s:
            return 0
        with connect(self._database_url, name="worker hearing") as connection:
            if leased.leased_by(connection, self._children()):
                self.heard()
                return 0
            return leased.unclaimed(
                connection, self._kinds, older_than_s=self._patience_s, younger_than_s=self.silent_s
            )

    def watch(self, **_: Any) -> None:
        """Look in a thread of its own, until the process ends: by this, if the worker is deaf. For a signal."""
        self.heard()
        threading.Thread(target=self._watch_loop, name="hearing", daemon=True).start()

    def _watch_loop(self) -> None:
        while True:
            time.sleep(self._patience_s / CHECKS_PER_PATIENCE)
            try:
                missed = self.missed()
            except (psycopg.Error, ReplankError) as error:
                log.info("the ledger does not answer", reason=str(error).strip())
                self.heard()
                continue
            if missed:
                log.error(
                    "the worker ends: it no longer receives jobs from the broker, though jobs were sent; "
                    "start it again",
                    silent_s=round(self.silent_s),
                    jobs=missed,
                )
                # Its event loop may hang, so it is not asked. Its processes have no job, and end with it.
                os._exit(EXIT_CODE)
