"""How long to wait before the next attempt: one formula for locks, lost connections and receivers that do not answer.

Its values are frozen and know no clock: the attempt's number is often a column of the ledger, so that a program that
was killed continues where it was. Python waits by `wait_s`, scripts for psql by `sql`.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Waits that grow by `factor` from `first_s` to `most_s` seconds, with jitter: from a half to all of that.

    Without jitter those who were turned away together would come back together. Raises ValueError for waits that
    would shrink.
    """

    first_s: float
    most_s: float
    factor: float = 2.0

    def __post_init__(self) -> None:
        if not (0 < self.first_s <= self.most_s and self.factor > 1):
            raise ValueError(f"a backoff grows from more than 0 s: {self}")

    def longest_s(self, attempt: int) -> float:
        """The longest wait after this attempt, in seconds. Attempts count from 1; any number of them is allowed."""
        # The power of a large number is beyond a float.
        return min(self.most_s, self.first_s * self.factor ** min(attempt - 1, self._grows_for))

    def wait_s(self, attempt: int, random_source: random.Random) -> float:
        """Seconds to wait after this attempt, the first one being 1."""
        return self.longest_s(attempt) * random_source.uniform(0.5, 1.0)

    def sql(self, attempt: str) -> str:
        """`wait_s` as PostgreSQL computes it; `attempt` is an expression of type int, counting from 1."""
        grown = f"{self.first_s} * power({self.factor}, least({attempt} - 1, {self._grows_for}))"
        return f"least({self.most_s}, {grown}) * (0.5 + random() / 2)"

    @property
    def _grows_for(self) -> int:
        """So many attempts after the first one the longest wait is reached."""
        return math.ceil(math.log(self.most_s / self.first_s, self.factor))


SHORT_LOCK = Backoff(first_s=0.2, most_s=3.0, factor=1.2)
"""Between attempts to get a lock, each as short as `lock_timeout`: who waits for it is waited for by others."""

SWAP_LOCKS = Backoff(first_s=0.3, most_s=3.0, factor=1.2)
"""Between attempts of a swap that asked for its locks: the next moment may be a good one."""

SWAP_MOMENT = Backoff(first_s=0.3, most_s=22.5, factor=1.4)
"""Where it did not even ask, because something lasts: no session waits for us meanwhile."""

JOB = Backoff(first_s=0.3, most_s=30.0)
"""Before a failed job is due again."""

DATABASE = Backoff(first_s=0.2, most_s=2.0, factor=1.5)
"""While the database does not answer: a connection that fails costs little, and restarts take seconds."""
