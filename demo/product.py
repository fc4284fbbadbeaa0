"""The product as an operator calls it: its commands, as processes, on one database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replank.errors import NeedsPerson


@dataclass(frozen=True, kw_only=True)
class Product:
    """Commands get the two URLs through the environment, and say their words for people on standard error."""

    database_url: str
    broker_url: str
    folder: Path | None = None
    """Where commands are called; None: where we are."""

    def call(self, *arguments: str) -> None:
        """One command. Raises NeedsPerson if it fails; its own words are above then."""
        self._run(arguments, subprocess.DEVNULL)

    def ask(self, *arguments: str) -> Any:
        """One command with --json: the document on the last line of its standard output. Raises NeedsPerson."""
        said = self._run((*arguments, "--json"), subprocess.PIPE)
        return json.loads(said.strip().splitlines()[-1])

    def _run(self, arguments: tuple[str, ...], stdout: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", "from replank.cli import main; main()", *arguments],
            env={**os.environ, "REPLANK_DATABASE_URL": self.database_url, "REPLANK_BROKER_URL": self.broker_url},
            cwd=self.folder,
            stdout=stdout,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NeedsPerson(f"`replank {arguments[0]}` ended with {done.returncode}; its words are above.")
        return done.stdout or ""
