"""One read of the ledger for all viewers: a further open page costs the database nothing."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
from psycopg import IsolationLevel

from replank.errors import CannotConnect, ReplankError
from sql.session.connection import Connection, connect

T = TypeVar("T")

Reading = Callable[[Connection], dict[str, Any]]
"""Called in the reader's thread."""

AT_MOST_EVERY_S = 1.0
SHARE_OF_TIME = 0.05
"""Of a database's time: where a read takes long, reads are further apart, as far as `AT_LEAST_EVERY_S` allows."""

AT_LEAST_EVERY_S = 4.0
"""From one whole read to the next, where one takes at most `MOST_OF_TIME` of that; who asks each second waits 5 s."""

MOST_OF_TIME = 1 / 3
"""Of a database's time, however long a read takes."""

PATIENCE_S = 4.0
"""Then a viewer gets the last data, with the news that there is no answer."""

SESSION = {
    "default_transaction_read_only": "on",
    "statement_timeout": "10s",
    "lock_timeout": "2s",
    # The page's figures may be rough; the run's rows need the processors.
    "max_parallel_workers_per_gather": "0",
    # Groups of a hundred thousand jobs fit.
    "work_mem": "32MB",
}


class Reader:
    """One read-only session in one thread of its own, so that a slow database stops no page and no event."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="page-reader")

    async def read(self, reading: Callable[[Connection], T]) -> T:
        """What `reading` says, of one moment. Raises psycopg.Error or ReplankError; the next call reconnects."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, reading)

    def _read(self, reading: Callable[[Connection], T]) -> T:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.url, name="page", settings=SESSION)
            self._connection.isolation_level = IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
        try:
            with self._connection.transaction():
                return reading(self._connection)
        except psycopg.OperationalError:
            self._connection.close()
            raise

    def close(self) -> None:
        """End the session when the present reading is over; the thread goes with it."""

        def end() -> None:
            if self._connection is not None:
                self._connection.close()

        self._thread.submit(end)
        self._thread.shutdown(wait=False)


@dataclass(kw_only=True)
class Watcher:
    """The sections as they were seen last, each with the number of the read that changed it.

    Numbers count from 1 for each server process; `epoch` tells one process from the next.
    """

    reader: Reader
    prepare: Callable[[], Reading]
    """Called in the event loop before each read: what only the loop's thread may read goes into the reading."""
    prepare_quick: Callable[[], Reading] | None = None
    """The same for a read of what is cheap, between two whole ones; None where there is none."""
    clock: Callable[[], float] = time.monotonic
    at_most_every_s: float = AT_MOST_EVERY_S
    at_least_every_s: float = AT_LEAST_EVERY_S
    share_of_time: float = SHARE_OF_TIME
    patience_s: float = PATIENCE_S
    epoch: str = field(default_factory=lambda: secrets.token_hex(4))
    _texts: dict[str, tuple[int, str]] = field(default_factory=dict)
    _reads: int = 0
    _due: float = float("-inf")
    _quick_due: float = float("-inf")
    _problem: str = ""
    _read_at: str | None = None
    _seen: float | None = None
    _running_read: asyncio.Task[None] | None = None

    async def news(self, epoch: str, since: int) -> str:
        """JSON: `epoch`, `look`, `read_at` and how old that is (`age_s`), `problem`, and the `sections` that changed
        after the read `since`.

        Where the database does not answer, `problem` says so, and what was seen last stays.
        """
        await self._fresh()
        after = since if epoch == self.epoch else 0
        changed = {name: text for name, (look, text) in self._texts.items() if look > after}
        head = {
            "epoch": self.epoch,
            "look": self._reads,
            "read_at": self._read_at,
            "age_s": None if self._seen is None else round(self.clock() - self._seen, 1),
            "problem": self._problem,
        }
        sections = ",".join(f"{json.dumps(name)}:{text}" for name, text in changed.items())
        return f'{json.dumps(head)[:-1]},"sections":{{{sections}}}}}'

    def refresh(self) -> None:
        """An action changed something: the next request reads the ledger again."""
        self._due = float("-inf")

    async def _fresh(self) -> None:
        if self._running_read is None:
            now = self.clock()
            quick = None if now >= self._due else self.prepare_quick
            if now < self._due and (quick is None or now < self._quick_due):
                return
            self._running_read = asyncio.create_task(self._read_sections(quick))
        look = self._running_read
        # A viewer that leaves does not end the read that others wait for, and no viewer waits for a frozen database.
        done, _ = await asyncio.wait({look}, timeout=self.patience_s)
        if done:
            look.result()
        else:
            self._problem = f"The database has not answered for {self.patience_s:.0f} s."

    async def _read_sections(self, quick: Callable[[], Reading] | None) -> None:
        began = self.clock()
        try:
            found = await self.reader.read(self.prepare() if quick is None else quick())
        except (psycopg.OperationalError, CannotConnect) as error:
            self._problem = f"The database does not answer: {_first_line(error)}"
        except (psycopg.Error, ReplankError) as error:
            self._problem = f"The ledger cannot be read: {_first_line(error)}"
        else:
            self._keep(found, whole=quick is None)
        finally:
            took = self.clock() - began
            if quick is None:
                self._due = began + took + self._pause_s(took, self.at_least_every_s)
            self._quick_due = began + took + self._pause_s(took, self.at_most_every_s)
            self._running_read = None

    def _pause_s(self, took: float, longest_s: float) -> float:
        """Until the next read of a kind that took so long: the whole of it, or what others leave of the database."""
        wanted = max(self.at_most_every_s, took * (1 / self.share_of_time - 1))
        return min(wanted, max(longest_s - took, took * (1 / MOST_OF_TIME - 1)))

    def _keep(self, found: dict[str, Any], *, whole: bool) -> None:
        self._problem = ""
        self._reads += 1
        self._read_at, self._seen = datetime.now(UTC).isoformat(), self.clock()
        texts = {name: json.dumps(section, separators=(",", ":"), default=str) for name, section in found.items()}
        if whole:
            # What is gone (tables that a rollback took from the ledger) is sent as null, and kept as such.
            texts |= {name: "null" for name in self._texts if name not in texts}
        for name, text in texts.items():
            if self._texts.get(name, (0, ""))[1] != text:
                self._texts[name] = (self._reads, text)


def _first_line(error: Exception) -> str:
    said = ""
    with suppress(IndexError):
        said = str(error).strip().splitlines()[0]
    return said or type(error).__name__
