"""The programs of Replank as an operator starts them: processes of their own, told by the environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil
from celery import Celery
from pydantic import SecretStr

from replank.settings import Settings
from replank.values.messages import celery_settings
from sql.session.connection import connect
from sql.session.database_identity import database_identity

START_S = 60.0
RUN_S = 3_600.0
STOP_S = 30.0
SAMPLE_S = 0.02
"""How often the coordinator's memory is sampled."""

_WORKERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'replank worker %'"


class BenchmarkFailed(Exception):
    """A program did not do what is measured; the message holds the end of what it said."""


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from replank.cli.app import main; main()", *arguments]


def _environment(database_url: str, broker_url: str) -> dict[str, str]:
    return {**os.environ, "REPLANK_DATABASE_URL": database_url, "REPLANK_BROKER_URL": broker_url}


def _tail(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")[-3_000:]


@contextmanager
def workers_running(database_url: str, broker_url: str, *, count: int) -> Iterator[None]:
    """One worker process with `count` children, from when all of them are ready until the end."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            _command("worker", f"--concurrency={count}"),
            env=_environment(database_url, broker_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            _wait_until_ready(process, database_url, broker_url, count, output)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(
    process: subprocess.Popen[bytes], database_url: str, broker_url: str, count: int, output: IO[bytes]
) -> None:
    """Every child has its connection, and the consumer answers over the broker."""
    settings = Settings(database_url=SecretStr(database_url), broker_url=SecretStr(broker_url))
    app = Celery("benchmark", set_as_current=False)
    deadline = time.monotonic() + START_S
    try:
        with connect(database_url, name="benchmark") as connection:
            app.conf.update(celery_settings(settings, database=database_identity(connection)))
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise BenchmarkFailed(f"the worker ended at once: {_tail(output)}")
                found = connection.execute(_WORKERS).fetchone()
                if found is not None and found[0] >= count and app.control.ping(timeout=0.3):
                    return
    finally:
        app.close()
    raise BenchmarkFailed(f"the worker was not ready after {START_S:.0f} s: {_tail(output)}")


class MemoryWatch(threading.Thread):
    """Samples the resident memory of one process until it ends."""

    def __init__(self, pid: int) -> None:
        super().__init__(name="memory-watch", daemon=True)
        self._process = psutil.Process(pid)
        self._stop_event = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        while not self._stop_event.wait(SAMPLE_S):
            try:
                self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss)
            except psutil.NoSuchProcess:
                return

    def stop(self) -> None:
        self._stop_event.set()
        self.join()


def coordinate(database_url: str, broker_url: str, plan: str, *, options: Sequence[str] = ()) -> float:
    """Run a plan to its end in a process of its own. Returns the process's peak memory in MB.

    Raises BenchmarkFailed unless the run is done.
    """
    with tempfile.TemporaryDirectory(prefix="replank-bench-") as folder, tempfile.TemporaryFile() as output:
        path = Path(folder) / "plan.toml"
        path.write_text(plan, encoding="utf-8")
        process = subprocess.Popen(
            _command("run", str(path), "--quiet", *options),
            env=_environment(database_url, broker_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        watch = MemoryWatch(process.pid)
        watch.start()
        try:
            status = process.wait(RUN_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            watch.stop()
        if status != 0:
            raise BenchmarkFailed(f"the run ended with status {status}: {_tail(output)}")
    return watch.peak_bytes / 1e6
