"""Reaching a database that restarts, before a command has begun with anything."""

from __future__ import annotations

import time
from collections.abc import Callable

from replank.errors import NotAnswering
from sql.session.connection import Connection

REACH_S = 10.0


def reach(
    open_connection: Callable[[], Connection],
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    patience_s: float = REACH_S,
) -> None:
    """Look whether the database answers; one that restarts is waited for. Raises CannotConnect where it does not."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            open_connection().close()
        except NotAnswering as error:
            if time.monotonic() > deadline:
                raise
            say(f"{error} Trying again for {max(deadline - time.monotonic(), 0):.0f} s.")
            sleep(1.0)
        else:
            return
