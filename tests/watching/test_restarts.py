"""`status --watch` in a terminal, before there is a run and while the database is stopped and started."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.runs.waiting import wait_for

from benchmarks.looking.big_ledger import fill_ledger
from demo.embedded import EmbeddedPostgres

COMMAND = (sys.executable, "-c", "from replank.cli.app import main; main()", "status", "--watch")
END_THE_RUN = "UPDATE replank.run SET state = 'needs_operator', reason = 'nine jobs have failed'"


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """One of its own for each test: it crashes."""
    with EmbeddedPostgres(durable=False) as started:
        yield started


class Terminal:
    """A pseudo-terminal of 100 columns and 30 lines with a command in it."""

    def __init__(self, environment: dict[str, str]) -> None:
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(COMMAND, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self._drawn = b""
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def _read(self, descriptor: int) -> None:
        try:
            while part := os.read(descriptor, 65536):
                self._drawn += part
        except OSError:
            pass  # The terminal's other end is closed.
        finally:
            os.close(descriptor)

    def shown(self, *, after: int = 0) -> str:
        """All that was drawn, without colours and line ends."""
        text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", self._drawn[after:]).decode(errors="replace")
        return " ".join(text.split())

    def wait_for(self, *words: str) -> int:
        """Until all of it was drawn from now on. Returns where in the drawing it had come."""
        start = len(self._drawn)
        wait_for(
            f"{words} on the screen",
            lambda: all(word in self.shown(after=start) for word in words),
            deadline_s=30,
            explain=lambda: self.shown(after=start)[-2000:],
        )
        return start


def _environment(server: EmbeddedPostgres, state: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REPLANK_")}
    url = {"REPLANK_DATABASE_URL": server.url("watched"), "XDG_STATE_HOME": str(state)}
    return {**kept, **url, "COLUMNS": "100", "LINES": "30", "TERM": "xterm"}


def test_a_terminal_waits_for_a_run_and_survives_a_restart(server: EmbeddedPostgres, tmp_path: Path) -> None:
    # Given: no run
    url = server.create_database("watched")
    terminal = Terminal(_environment(server, tmp_path))
    try:
        terminal.wait_for("waiting for one")
        # When: there is one, it is shown
        fill_ledger(url, jobs=400)
        terminal.wait_for("run 1 running", "window 8/16")
        # When: the database is away, the last picture stays, with its age
        server.crash()
        terminal.wait_for("The database does not answer", "s ago", "run 1 running", "window 8/16")
        assert terminal.process.poll() is None
        # When: it is back, so is the present
        server.resume()
        with psycopg.connect(url, autocommit=True) as plain:
            plain.execute("UPDATE replank.run SET window_now = 5")
        terminal.wait_for("window 5/16")
        # A lock on the ledger is no end either, and a run that needs a person is one
        with psycopg.connect(url) as plain:
            plain.execute("LOCK TABLE replank.run IN ACCESS EXCLUSIVE MODE")
            terminal.wait_for("Waiting for the database's answer")
            plain.execute(END_THE_RUN)
        assert terminal.process.wait(30) == 1
        assert "Traceback" not in terminal.shown()
        assert "nine jobs have failed" in terminal.shown()
    finally:
        terminal.process.kill()
        terminal.process.wait()


def test_programs_are_told_once_that_it_is_away(server: EmbeddedPostgres, tmp_path: Path) -> None:
    url = server.create_database("watched")
    output = tmp_path / "output"
    with output.open("wb") as file:
        watcher = subprocess.Popen((*COMMAND, "--json"), env=_environment(server, tmp_path), stdout=file)

    def documents() -> list[dict[str, object]]:
        return [json.loads(line) for line in output.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def wait_for_state(state: str) -> None:
        wait_for(state, lambda: bool(documents()) and documents()[-1]["state"] == state, deadline_s=30)

    try:
        wait_for_state("waiting")
        fill_ledger(url, jobs=400)
        wait_for_state("running")
        server.crash()
        wait_for_state("away")
        assert documents()[-1]["run_id"] == 1
        server.resume()
        wait_for_state("running")
        with psycopg.connect(url, autocommit=True) as plain:
            plain.execute(END_THE_RUN)
        assert watcher.wait(30) == 1
    finally:
        watcher.kill()
        watcher.wait()
    states = [document["state"] for document in documents()]
    assert states.count("waiting") == 1
    # The reason may change while a server stops: each is told once
    away = [document["reason"] for document in documents() if document["state"] == "away"]
    assert len(away) == len(set(away)) <= 4
    assert states[-1] == "needs_operator"


def test_a_server_that_was_never_there_is_not_waited_for(server: EmbeddedPostgres, tmp_path: Path) -> None:
    environment = _environment(server, tmp_path)
    server.crash()
    ended = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 3
    assert "Cannot connect" in ended.stderr
