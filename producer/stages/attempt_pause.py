"""How long a swap rests after an attempt that missed."""

from __future__ import annotations

import random

from replank.errors import TryAgain
from sql.swap.lock_attempt import AttemptMissed

LONGEST_S = 3.0
"""Where the locks were asked for: what hurts is the queue behind them, and the next moment may be a good one."""

LONGEST_UNASKED_S = 15.0
"""Where they were not: something lasts, and nobody waits for us meanwhile."""

SHARE = 2.0
"""Others are left alone for so many times as long as they were kept waiting: they wait a third of the time at most."""


def pause_s(attempts: int, missed: TryAgain | None, random_source: random.Random) -> float:
    """Seconds until the next attempt, with jitter. `attempts` missed before; `missed`: None where an error ended it."""
    jitter = 0.5 + random_source.random()
    if isinstance(missed, AttemptMissed) and missed.chance is not None:
        kept_waiting_s = missed.application_wait_ms / 1000
        return max(min(0.2 * 1.2**attempts, LONGEST_S / 1.5) * jitter, SHARE * kept_waiting_s)
    return min(0.2 * 1.4**attempts, LONGEST_UNASKED_S) * jitter
