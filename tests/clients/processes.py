"""Clients that are programs of their own: a line for each statement, and one for each answer.

A program opens its session at `CLIENT_URL` and says `ok`. It is then told a kind and the ids of item, owner and other,
with tabs in between, and answers `ok` and the type that an id was read as, or `error` and why. It ends with its input.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from clients.client import Ids, Refused

PROGRAMS = Path(__file__).with_name("programs")


class ProcessSession:
    """A program with one session, which it opens when it begins."""

    def __init__(self, command: Sequence[str], url: str, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {}), "CLIENT_URL": url},
        )
        self._answer()

    def run(self, kind: str, ids: Ids) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("\t".join((kind, ids.item, ids.owner, ids.other)) + "\n")
        self.process.stdin.flush()
        word, said = self._answer()
        if word == "error":
            raise Refused(said)
        return said

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def _answer(self) -> tuple[str, str]:
        """The program's next line. Fails if it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"{self.process.args!r} ended: {self.process.poll()}"
        word, _, said = line.rstrip("\n").partition("\t")
        assert word in ("ok", "error"), line
        return word, said
