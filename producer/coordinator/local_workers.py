"""Workers on this machine, started and watched by the coordinator."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import structlog

from replank.isolation import python_command
from replank.settings import Settings

log = structlog.get_logger()

STOP_S = 20.0
AT_LEAST_APART_S = 2.0
"""A worker that dies at once is not started again faster than this."""


class LocalWorkers:
    """One worker process with `count` children, its log in a file; it ends with this process, even a killed one."""

    def __init__(self, settings: Settings, *, count: int, log_file: Path) -> None:
        self._environment = {
            **os.environ,
            # The URLs hold passwords: they travel in the environment, never in the argument list.
            "REPLANK_DATABASE_URL": settings.database(),
            "REPLANK_BROKER_URL": settings.broker(),
            "REMAP_SIGTERM": "SIGQUIT",
        }
        self._count = count
        self.name = f"replank-local-{os.getpid()}@{socket.gethostname()}"
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        self._started_at = time.monotonic()
        with open(self._log_file, "ab") as output:
            self._process = subprocess.Popen(
                python_command(
                    "worker", f"--concurrency={self._count}", f"--parent={os.getpid()}", f"--name={self.name}"
                ),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def watch(self, wanted_sizes: Callable[[], int | None] = lambda: None) -> None:
        """Start the worker again if it died, with as many children as an operator wanted_sizes for meanwhile."""
        if self._process is None or self._process.poll() is None:
            return
        if time.monotonic() - self._started_at >= AT_LEAST_APART_S:
            log.info("the local worker process ended and is started again", exit_code=self._process.returncode)
            self._count = wanted_sizes() or self._count
            self.start()

    def stop(self) -> None:
        """Let the present jobs end; kill what has not ended after `STOP_S`."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> LocalWorkers:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
