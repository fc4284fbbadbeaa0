"""The database does not answer: waiting until it does, then continuing from the ledger."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg

from replank.backoff import DATABASE, Backoff
from replank.errors import ReplankError

T = TypeVar("T")


@dataclass(kw_only=True)
class DatabaseWait:
    """Does a piece of work again and again while the database is away; one absence lasts for `limit_s` seconds at most.

    `may_pass` says of an error whether it is one of a database that is away. `say` hears of each such error, with the
    seconds that are left. `at_limit` gives what is raised when they are over, by default the error itself. Without a
    limit (None) the wait ends when `stopped` says so; then the error is raised.
    """

    limit_s: float | None
    say: Callable[[Exception, float], None]
    may_pass: Callable[[Exception], bool]
    at_limit: Callable[[Exception], Exception] = lambda error: error
    stopped: Callable[[], bool] = lambda: False
    pause: Callable[[float], object] = time.sleep
    now: Callable[[], float] = time.monotonic
    backoff: Backoff = DATABASE
    random_source: random.Random = field(default_factory=random.Random)
    _away_since: float | None = field(init=False, default=None)
    _attempts: int = field(init=False, default=0)

    def until_answered(self, work: Callable[[], T]) -> T:
        """What `work` returns. It opens its own connection each time, and calls `answered` where it has one."""
        while True:
            try:
                return work()
            except (psycopg.Error, ReplankError) as error:
                if not self.may_pass(error):
                    raise
                left_s = self._left_s()
                if left_s <= 0:
                    raise self.at_limit(error) from None
                self.say(error, left_s)
                if self.stopped():
                    raise
            self._attempts += 1
            self.pause(self.backoff.wait_s(self._attempts, self.random_source))

    def answered(self) -> None:
        """The database is there: what comes next is another absence, with all its time."""
        self._away_since = None
        self._attempts = 0

    def _left_s(self) -> float:
        """Of this absence, which begins with its first error. Endless without a limit."""
        now = self.now()
        if self._away_since is None:
            self._away_since = now
        return float("inf") if self.limit_s is None else self._away_since + self.limit_s - now
