"""The command line as an operator uses it: processes of their own, told by the environment."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import psycopg

from support.runs.forking import run_command

COMMAND_S = 600.0
LOOK_S = 0.1


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from replank.cli.app import main; main()", *arguments]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command left: exit code, words for people, and the object on its last line (or None)."""

    status: int
    words: str
    document: Any


def _said(status: int, output: str, words: str) -> Said:
    lines = output.strip().splitlines()
    return Said(status=status, words=words, document=json.loads(lines[-1]) if lines else None)


@dataclass(frozen=True, kw_only=True)
class Replank:
    """Runs `replank` against one database and one broker."""

    database_url: str
    broker_url: str

    @property
    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, "REPLANK_DATABASE_URL": self.database_url, "REPLANK_BROKER_URL": self.broker_url}

    def __call__(self, *arguments: str) -> Said:
        """Run a command to its end."""
        done = run_command(*arguments, environment=self._environment, deadline_s=COMMAND_S)
        return _said(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def under_way(self, *arguments: str) -> Iterator["Running"]:
        """Start a command; whoever leaves the block before its end, ends it."""
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as words:
            process = subprocess.Popen(
                _command(*arguments), env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=words
            )
            try:
                yield Running(process=process, output=output, words=words)
            finally:
                if process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(30)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()


@dataclass(frozen=True, kw_only=True)
class Running:
    """A command that has not ended yet."""

    process: subprocess.Popen[bytes]
    output: IO[str]
    words: IO[str]

    def wait(self, deadline_s: float) -> Said:
        """Its end. Raises subprocess.TimeoutExpired when it takes longer than `deadline_s`."""
        status = self.process.wait(deadline_s)
        self.output.seek(0)
        return _said(status, self.output.read(), self._last_words())

    def wait_until_ready(self, database_url: str, *, tables: int, deadline_s: float) -> None:
        """Until so many tables are ready for their cutover; AssertionError when the command ends before."""
        deadline = time.monotonic() + deadline_s
        with psycopg.connect(database_url, autocommit=True) as connection:
            while True:
                states = _states(connection)
                if states == {"ready": tables}:
                    return
                assert self.process.poll() is None, f"the run ended early: {self._last_words()}"
                assert time.monotonic() < deadline, f"not ready after {deadline_s:.0f} s: {states}"
                time.sleep(LOOK_S)

    def _last_words(self) -> str:
        self.words.seek(0)
        return self.words.read()[-5_000:]


def _states(connection: psycopg.Connection) -> dict[str, int]:
    """State -> number of tables, from the ledger; empty while there is none."""
    there = connection.execute("SELECT to_regclass('replank.run_table') IS NOT NULL").fetchone()
    if there != (True,):
        return {}
    return dict(connection.execute("SELECT state, count(*) FROM replank.run_table GROUP BY state").fetchall())
