"""Clients that write to a database through a whole migration and keep a journal of what was acknowledged.

``JournalWriters`` runs in the test; the clients are threads of one child process (``python -m …serving``),
so neither slows the other down. The child ends by itself when its standard input closes.
"""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, TextIO

from support.writers.journal import Journal, JournaledRow, WriteError
from support.writers.targets import Target, read_targets

__all__ = ["Journal", "JournalWriters", "JournaledRow", "Target", "WriteError", "read_targets"]


class JournalWriters:
    """Clients that insert, update, delete and change keys in a child process until ``stop``.

    ``tables``: (schema, name) of the tables to write to, None for every table that new rows can be made
    for; ``rate``: writes per second of all ``clients`` together. Usable as a context manager; leaving it
    stops the clients, ``journal`` is there then.
    """

    def __init__(
        self,
        *,
        url: str,
        tables: Sequence[tuple[str, str]] | None = None,
        clients: int = 4,
        rate: float = 200,
        seed: int = 1,
    ) -> None:
        self._settings = {"url": url, "tables": tables, "clients": clients, "rate": rate, "seed": seed}
        self._folder = tempfile.TemporaryDirectory(prefix="journal-")
        self._child: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._news = threading.Condition()
        self._is_ready = self._has_ended = False
        self._acknowledged = 0
        self.journal: Journal | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self.stop()

    @property
    def acknowledged(self) -> int:
        """Writes acknowledged so far, at most a tenth of a second old."""
        return self._acknowledged

    def start(self, timeout_s: float = 30) -> None:
        """Start the clients; returns when each has its connection, or raises ``RuntimeError``."""
        package = str(__package__)
        root = Path(__file__).resolve().parents[len(package.split("."))]
        errors = (Path(self._folder.name) / "errors").open("w+")
        self._child = subprocess.Popen(
            [sys.executable, "-m", f"{package}.serving"],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        errors.close()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._reader = threading.Thread(target=self._listen, args=(self._child.stdout,), daemon=True)
        self._reader.start()
        journal = str(Path(self._folder.name) / "journal.json")
        self._child.stdin.write(json.dumps(self._settings | {"journal": journal}) + "\n")
        self._child.stdin.flush()
        self._wait(lambda: self._is_ready, timeout_s, "the clients did not start")

    def _listen(self, stream: TextIO) -> None:
        for line in stream:
            news = json.loads(line)
            with self._news:
                self._is_ready = True
                self._acknowledged = news.get("acknowledged", self._acknowledged)
                self._news.notify_all()
        with self._news:
            self._has_ended = True
            self._news.notify_all()

    def _wait(self, condition: Callable[[], bool], timeout_s: float, complaint: str) -> None:
        with self._news:
            self._news.wait_for(lambda: condition() or self._has_ended, timeout_s)
        if not condition():
            raise self._ended(complaint)

    def wait_for_writes(self, count: int, timeout_s: float = 60) -> None:
        """Return when ``count`` more writes than now are acknowledged; ``RuntimeError`` when late."""
        goal = self._acknowledged + count
        self._wait(lambda: self._acknowledged >= goal, timeout_s, f"no {count} writes within {timeout_s} s")

    def stop(self, timeout_s: float = 120) -> Journal:
        """Let each client finish its transaction, end the child and return the journal.

        Raises ``RuntimeError`` when the child died or does not end within ``timeout_s``: then nothing is
        known about the writes.
        """
        child = self._child
        if child is None or child.stdin is None:
            raise RuntimeError("the clients were never started")
        child.stdin.close()
        try:
            status = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self._ended(f"the clients did not stop within {timeout_s} s") from None
        if status != 0:
            raise self._ended(f"the clients ended with status {status}")
        self.journal = Journal.read(Path(self._folder.name) / "journal.json")
        self._clean_up()
        return self.journal

    def _ended(self, complaint: str) -> RuntimeError:
        """End the child, whatever it does; the error to raise, with the last that it said."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        said = (Path(self._folder.name) / "errors").read_text(encoding="utf-8").strip()[-2000:]
        self._clean_up()
        return RuntimeError(f"{complaint}: {said}")

    def _clean_up(self) -> None:
        if self._reader is not None:
            self._reader.join()
        if self._child is not None and self._child.stdin is not None and self._child.stdout is not None:
            self._child.stdin.close()
            self._child.stdout.close()
        self._child = None
        self._folder.cleanup()
