"""The product as an operator calls it: its commands, as processes, on one database."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replank.errors import NeedsOperator
from replank.isolation import python_command

_LAST_CHARACTERS = 4_000


@dataclass(frozen=True, kw_only=True)
class Product:
    """Commands get the two URLs through the environment. `folder` is where they are called; None: where we are."""

    database_url: str
    broker_url: str
    folder: Path | None = None

    def call(self, *arguments: str) -> None:
        """One command, which says its words for people on standard error. Raises NeedsOperator if it fails."""
        self._run(arguments, subprocess.DEVNULL, None)

    def call_quietly(self, *arguments: str) -> None:
        """One command whose output is not needed, unless it fails: then they are in the NeedsOperator."""
        self._run(arguments, subprocess.DEVNULL, subprocess.PIPE)

    def ask(self, *arguments: str) -> Any:
        """One command with --json: the document on the last line of its standard output. Raises NeedsOperator."""
        said = self._run((*arguments, "--json"), subprocess.PIPE, subprocess.PIPE)
        return json.loads(said.strip().splitlines()[-1])

    def _run(self, arguments: tuple[str, ...], stdout: int, stderr: int | None) -> str:
        done = subprocess.run(
            python_command(*arguments),
            env={**os.environ, "REPLANK_DATABASE_URL": self.database_url, "REPLANK_BROKER_URL": self.broker_url},
            cwd=self.folder,
            stdout=stdout,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if done.returncode:
            words = "its words are above." if done.stderr is None else f"it said:\n{done.stderr[-_LAST_CHARACTERS:]}"
            raise NeedsOperator(f"`replank {arguments[0]}` ended with {done.returncode}; {words}")
        return done.stdout or ""
