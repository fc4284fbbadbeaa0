"""The file that this machine's local workers write their log to."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from replank.errors import NeedsOperator
from replank.state_folder import state_folder

LONGEST_PLAN = 60


def new_worker_log(plan: str) -> Path:
    """A new file that this user alone can read: messages of errors may quote rows. Raises NeedsOperator."""
    words = re.sub(r"[^A-Za-z0-9_.-]+", "-", plan)[:LONGEST_PLAN] or "plan"
    name = f"workers-{words}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    for folder in (state_folder(), Path(tempfile.gettempdir())):
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = folder / name
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            return file
    raise NeedsOperator(
        f"No log file for the local workers can be written in {state_folder()} or {tempfile.gettempdir()}.",
        hint="Set XDG_STATE_HOME to a folder that can be written to, or start `replank worker` yourself.",
    )


@contextmanager
def worker_log(plan: str, *, wanted: bool) -> Iterator[Path | None]:
    """The file, for as long as the workers live; none where they are not wanted. An empty one does not stay."""
    if not wanted:
        yield None
        return
    file = new_worker_log(plan)
    try:
        yield file
    finally:
        with suppress(OSError):
            if file.stat().st_size == 0:
                file.unlink()
