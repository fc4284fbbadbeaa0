"""Reaching a database that restarts, before a command has begun with anything."""

from __future__ import annotations

import time
from collections.abc import Callable

from replank.errors import NotAnswering
from sql.session.connection import Connection
from sql.session.database_wait import DatabaseWait

REACH_S = 10.0


def wait_for_restart(
    open_connection: Callable[[], Connection],
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    patience_s: float = REACH_S,
) -> None:
    """Look whether the database answers; one that restarts is waited for. Raises CannotConnect where it does not."""
    wait = DatabaseWait(
        limit_s=patience_s,
        say=lambda error, left_s: say(f"{error} Trying again for {left_s:.0f} s."),
        may_pass=lambda error: isinstance(error, NotAnswering),
        pause=sleep,
    )
    wait.until_answered(lambda: open_connection().close())
