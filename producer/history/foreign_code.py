"""The application's own code runs in a process of its own, which knows neither our database nor our secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replank.errors import WrongUse

KEPT = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT"})
"""What a child gets of the environment, with `LC_…`. A database's URL or a password may stand in any other."""

LONGEST_S = 120
LAST_LINES = 12


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """The Python that has the application's packages, the variables that it is given, and the folder it starts in."""

    python: str = sys.executable
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path = field(default_factory=Path.cwd)

    def ask(self, program: Path, *arguments: str, wish: object = None) -> Any:
        """What a program says. Raises WrongUse with its own words for it, or the last lines of what went wrong."""
        command = [self.python, str(program), *arguments]
        try:
            done = subprocess.run(
                command,
                input=json.dumps(wish),
                env=self._environment,
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
                check=False,
            )
        except OSError as error:
            raise WrongUse(f"{self.python}: the interpreter cannot be started: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise WrongUse(f"The application's code did not load within {LONGEST_S} s.") from None
        if done.returncode:
            lines = "\n".join(done.stderr.strip().splitlines()[-LAST_LINES:])
            raise WrongUse(
                "The application's code could not be loaded. It runs without the variables of this environment: give "
                f"what it needs with --env NAME=VALUE, its own interpreter with --python.\n{lines}"
            )
        said = json.loads(done.stdout)
        if isinstance(said, dict) and "error" in said:
            raise WrongUse(str(said["error"]))
        return said

    @property
    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("LC_")}
        return kept | dict(self.variables)
