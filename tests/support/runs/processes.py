"""Replank's own processes as an operator starts them: the console command, with two URLs."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from support.runs.forking import Forked, forker
from support.runs.ledger_view import LedgerView
from support.runs.waiting import wait_for

COMMAND = (sys.executable, "-c", "from replank.cli.app import main; main()")
RUN_DEADLINE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Finished:
    """An ended process: its exit code, and all it wrote."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The JSON on the last line of standard output."""
        return json.loads(self.stdout.splitlines()[-1])


class Process:
    """One running Replank process. Its output goes to files, so that no full pipe can stop it."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        output: Path,
        explain: Callable[[], str],
        *,
        forked: bool,
    ) -> None:
        self._explain = explain
        self._stdout = output.with_suffix(".stdout")
        self._stderr = output.with_suffix(".stderr")
        self._family: dict[int, psutil.Process] = {}
        self._process = self._forked(arguments, environment) if forked else self._executed(arguments, environment)

    def _executed(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            return subprocess.Popen(
                [*COMMAND, *arguments], env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    def _forked(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Forked:
        return forker().start(arguments, environment, self._stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def stderr(self) -> str:
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    def family(self) -> list[psutil.Process]:
        """This process's descendants that live, and those seen before: a killed parent leaves orphans."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children(recursive=True):
                self._family.setdefault(child.pid, child)
        for known in list(self._family.values()):
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in known.children(recursive=True):
                    self._family.setdefault(child.pid, child)
        return [process for process in self._family.values() if is_alive(process)]

    def kill(self) -> None:
        """SIGKILL to this process alone; its children are left to themselves."""
        self.family()
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        self._process.terminate()

    def wait(self, *, deadline_s: float = RUN_DEADLINE_S) -> Finished:
        """Wait for its end. Fails with its last words after `deadline_s`."""
        try:
            code = self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            words = f"{self.stderr[-3000:]}\n{self._explain()}"
            raise AssertionError(f"still running after {deadline_s:.0f} s:\n{words}") from None
        return Finished(exit_code=code, stdout=self._stdout.read_text(encoding="utf-8"), stderr=self.stderr)

    def end(self) -> None:
        """Leave nothing of it, nor of its children."""
        family = self.family()
        if self.running:
            self._process.kill()
            self._process.wait()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        # Not until they are reaped: that is up to whoever inherited them.
        wait_for("killed processes to end", lambda: not any(map(is_alive, family)))


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended and waits for its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True, kw_only=True)
class Site:
    """A database under change, its broker and its plan: what every Replank process is given."""

    database_url: str
    broker_url: str
    plan: Path
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further `REPLANK_…` variables."""
    _started: list[Process] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def start(self, *arguments: str, **variables: str) -> Process:
        """Start `replank ARGUMENTS`."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("REPLANK_")},
            "REPLANK_DATABASE_URL": self.database_url,
            "REPLANK_BROKER_URL": self.broker_url,
            "COLUMNS": "200",
            **self.settings,
            **variables,
        }
        process = Process(
            arguments,
            environment,
            self.folder / f"replank-{next(self._numbers)}",
            LedgerView(url=self.database_url).explain,
            # Celery reads the environment while it is imported.
            forked="worker" not in arguments[:1],
        )
        self._started.append(process)
        return process

    def call(self, *arguments: str, deadline_s: float = RUN_DEADLINE_S, **variables: str) -> Finished:
        """Run `replank ARGUMENTS` to its end."""
        return self.start(*arguments, **variables).wait(deadline_s=deadline_s)

    def run(self, *options: str, workers: int = 2, **variables: str) -> Process:
        """Start `replank run PLAN`."""
        return self.start("run", str(self.plan), "--workers", str(workers), "--json", *options, **variables)

    def worker(self, *options: str, **variables: str) -> Process:
        """Start `replank worker` as on another host: it knows nothing but the two URLs."""
        return self.start("worker", *options, **variables)

    def end(self) -> None:
        for process in self._started:
            process.end()
