"""An application at a steady pace, in a process of its own: `python -m benchmarks.rebuild.writers URL RATE`.

Single-row updates (7 of 10), inserts (2) and deletes (1) on `entry`, each its own transaction, from
four connections. It ends when its standard input closes and then says what it saw in one JSON object.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

CONNECTIONS = 4
STOP_S = 60.0

_UPDATE = "UPDATE entry SET amount = amount + 1 WHERE id = %s"
_DELETE = "DELETE FROM entry WHERE id = %s"
# Parameters without a type: the columns become uuid under them.
_INSERT = """
INSERT INTO entry (account_id, created_at, amount, note) VALUES (%s, now(), 0, repeat('x', 63)) RETURNING id::text
"""


@dataclass(frozen=True, kw_only=True)
class WriterReport:
    """What the application saw: acknowledged writes, their rate, how long they took, what failed."""

    writes: int
    rate: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    errors: list[str]


class _Client(threading.Thread):
    def __init__(self, url: str, *, rate: float, seed: int, ids: list[str], accounts: list[str], stop: threading.Event):
        super().__init__(name=f"client-{seed}", daemon=True)
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        self._rate, self._ids, self._accounts, self._stop_event = rate, ids, accounts, stop
        self._chance = random.Random(seed)
        self.latencies_ms: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        due = time.monotonic()
        while not self._stop_event.wait(max(0.0, due - time.monotonic())):
            # A stall is not made good by a burst: the pace stays what it is.
            due = max(due + 1 / self._rate, time.monotonic() - 0.1)
            begin = time.monotonic()
            try:
                self._write()
            except psycopg.Error as error:
                self.errors.append(str(error).strip())
                if self._connection.closed:
                    return
            else:
                self.latencies_ms.append((time.monotonic() - begin) * 1000)
        self._connection.close()

    def _write(self) -> None:
        draw = self._chance.random()
        if draw < 0.7:
            self._connection.execute(_UPDATE, [self._chance.choice(self._ids)])
        elif draw < 0.9:
            found = self._connection.execute(_INSERT, [self._chance.choice(self._accounts)]).fetchone()
            assert found is not None
            self._ids.append(found[0])
        else:
            self._connection.execute(_DELETE, [self._ids.pop(self._chance.randrange(len(self._ids)))])


def _serve(url: str, rate: float) -> None:
    with psycopg.connect(url) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM entry ORDER BY created_at LIMIT 40000")]
        accounts = [row[0] for row in connection.execute("SELECT id FROM account")]
    stop = threading.Event()
    clients = [
        _Client(url, rate=rate / CONNECTIONS, seed=n, ids=ids[n::CONNECTIONS], accounts=accounts, stop=stop)
        for n in range(CONNECTIONS)
    ]
    started = time.monotonic()
    for client in clients:
        client.start()
    print("ready", flush=True)
    sys.stdin.read()
    stop.set()
    for client in clients:
        client.join()
    lasted = time.monotonic() - started
    latencies = sorted(ms for client in clients for ms in client.latencies_ms)
    report = WriterReport(
        writes=len(latencies),
        rate=len(latencies) / lasted,
        p50_ms=latencies[len(latencies) // 2],
        p99_ms=latencies[len(latencies) * 99 // 100],
        longest_ms=latencies[-1],
        errors=[error for client in clients for error in client.errors],
    )
    print(json.dumps(asdict(report)), flush=True)


@dataclass(kw_only=True)
class Writing:
    """Holds the report once the writers have stopped."""

    report: WriterReport | None = None


@contextmanager
def writing(url: str, *, rate: float) -> Iterator[Writing]:
    """Writers at work, `rate` writes per second altogether, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.rebuild.writers", url, str(rate)],
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    held = Writing()
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("the writers did not start")
        yield held
        said, _ = process.communicate(timeout=STOP_S)
        held.report = WriterReport(**json.loads(said))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


if __name__ == "__main__":
    _serve(sys.argv[1], float(sys.argv[2]))
