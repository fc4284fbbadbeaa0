"""A service of octavia's under way: a process in octavia's own environment that reads and writes by octavia's code."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from support.schemas.octavia import PROGRAMS, environment_of, interpreter

Phase = Literal["before", "at", "after"]
Row = tuple[str, tuple[str, ...]]
"""A table, and the text of a row's key."""

WAIT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What it lived through: transactions by phase, errors by phase and what they said, and what rows must hold.

    A row of None was deleted.
    """

    done: dict[Phase, int]
    errors: dict[Phase, dict[str, int]]
    rows: dict[Row, dict[str, str] | None]


@dataclass
class Service:
    """A running one. `done` counts transactions that ended, well or badly."""

    process: subprocess.Popen[str]
    orders: IO[str]
    said: IO[str]
    errors: IO[str]
    done: int = 0
    last: str = ""
    news: threading.Condition = field(default_factory=threading.Condition)

    def listen(self) -> None:
        for line in self.said:
            with self.news:
                self.last = line
                self.done += 1
                self.news.notify_all()

    def wait_for(self, transactions: int) -> None:
        """Until so many more have ended."""
        goal, end = self.done + transactions, time.monotonic() + WAIT_S
        with self.news:
            while self.done < goal:
                self.news.wait(0.5)
                assert self.process.poll() is None, self._last_words()
                assert time.monotonic() < end, f"no {transactions} transactions within {WAIT_S} s"

    def enter(self, phase: Phase) -> None:
        """What ends from now on is counted there."""
        self.orders.write(f"{phase}\n")
        self.orders.flush()

    def stop(self) -> Lived:
        self.orders.close()
        assert self.process.wait(WAIT_S) == 0, self._last_words()
        with self.news:
            self.news.wait_for(lambda: '"rows"' in self.last, WAIT_S)
        told = json.loads(self.last)
        rows = {(table, tuple(key)): columns for table, key, columns in told["rows"]}
        return Lived(done=told["done"], errors=told["errors"], rows=rows)

    def _last_words(self) -> str:
        self.errors.seek(0)
        return self.errors.read()[-5_000:]


@contextmanager
def service(
    url: str,
    source: Path,
    *,
    project: str,
    text_or_uuid: Sequence[tuple[str, str]] = (),
    pause_s: float = 0.02,
    **options: Any,
) -> Iterator[Service]:
    """One on the rows of `project`, which no other touches; stopped at the block's end, however that comes.

    It rests for `pause_s` between two transactions. `url` with the driver that SQLAlchemy takes, `options` for its
    `create_engine`. The columns of `text_or_uuid` have that type of docs/clients.md.
    """
    asked = {"url": url, "project": project, "options": options, "text_or_uuid": text_or_uuid, "pause_s": pause_s}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [str(interpreter()), "-W", "ignore", str(PROGRAMS / "client.py")],
            env=environment_of(source),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        started = Service(process=process, orders=process.stdin, said=process.stdout, errors=errors)
        listener = threading.Thread(target=started.listen, daemon=True)
        listener.start()
        try:
            started.orders.write(json.dumps(asked) + "\n")
            started.orders.flush()
            yield started
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            with suppress(BrokenPipeError):
                process.stdin.close()
            listener.join()
            process.stdout.close()
