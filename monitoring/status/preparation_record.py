"""A file that says what a run on this machine is preparing: what is left of it tells that its process died.

The database cannot tell: nothing is written there before the run begins, and a session's name ends with the session.
The file is locked as long as its process lives, and the kernel unlocks it however that ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from replank.state_folder import of_database

_LOCK_TRIES = 5
_LOCK_PAUSE_S = 0.02
"""A reader holds the lock for a moment."""


@dataclass(frozen=True, kw_only=True)
class Died:
    """A run that was being prepared when its process ended. `doing` was the last thing it did."""

    pid: int
    plan: str
    doing: str
    since: datetime


class PreparationRecord:
    """The file of one run, while it prepares. Where it cannot be written, there is none, and nothing else changes."""

    def __init__(self, identity: str, *, plan: str) -> None:
        self._path = of_database("preparing", identity)
        self._known = {"pid": os.getpid(), "plan": plan, "since": datetime.now(UTC).isoformat()}
        self._file: IO[str] | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        file = os.fdopen(descriptor, "r+", encoding="utf-8")
        if _lock(file):
            self._file = file
        else:
            # Another run is being prepared on the same database.
            file.close()

    def tell(self, words: str) -> None:
        """From now on this is done."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            json.dump({**self._known, "doing": words}, self._file)
            self._file.flush()

    def close(self) -> None:
        """The preparation has ended in whatever way that its process knows of."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
        self._file = None


def read_died(identity: str) -> Died | None:
    """The run that died while it was being prepared here; None where none did, or where this user has no such file."""
    try:
        with of_database("preparing", identity).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return _died(json.loads(file.read()))
    except (OSError, ValueError, KeyError):
        return None


def _died(document: dict[str, Any]) -> Died:
    since = datetime.fromisoformat(document["since"])
    return Died(pid=int(document["pid"]), plan=document["plan"], doing=document["doing"], since=since)


def _lock(file: IO[str]) -> bool:
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
        else:
            return True
    return False
