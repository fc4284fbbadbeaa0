"""Clients that are programs of their own: one line of JSON for each statement, one for each answer."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
        said = {"kind": kind, "item": ids.item, "owner": ids.owner, "other": ids.other}
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise Refused(str(answer["error"]))
        return str(answer.get("type", ""))

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        """The program's next line. Fails if it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"{self.process.args!r} ended: {self.process.poll()}"
        return dict(json.loads(line))
