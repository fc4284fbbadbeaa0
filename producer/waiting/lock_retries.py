"""Steps that need a short lock: tried again with jitter, as often as the plan allows."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from replank.backoff import SHORT_LOCK
from replank.errors import NeedsOperator
from sql.health.lock_holders import WaitWatch
from sql.session.connection import Connection
from sql.session.passing_errors import LOCK_MISSED

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class LockRetries:
    """`attempts` at most on one connection, with short waits between them."""

    connection: Connection
    attempts: int
    sleep: Callable[[float], None]
    random_source: random.Random

    def until_granted(self, step: Callable[[], T], *, what: str, command: str, left: str = "") -> T:
        """Do `step` until its locks are granted.

        Raises NeedsOperator after the last try: it names what is locked, by whom, and what is `left` there.
        """
        held_by = ""
        for attempt in range(self.attempts):
            try:
                if attempt < self.attempts - 1:
                    return step()
                with WaitWatch(self.connection) as watch:
                    try:
                        return step()
                    finally:
                        held_by = watch.words
            except LOCK_MISSED:
                self.sleep(SHORT_LOCK.wait_s(attempt + 1, self.random_source))
        raise NeedsOperator(
            f"{what} is locked by {held_by or 'other sessions'}{left}. End the transactions that hold it, then "
            f"`{command}` again to continue."
        )
