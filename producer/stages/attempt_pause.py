"""How long a swap rests after an attempt that missed."""

from __future__ import annotations

import random

from replank.backoff import SWAP_LOCKS, SWAP_MOMENT
from replank.errors import TryAgain
from sql.swap.lock_attempt import AttemptMissed

SHARE = 2.0
"""Others are left alone for so many times as long as they were kept waiting: they wait a third of the time at most."""


def pause_s(attempts: int, missed: TryAgain | None, random_source: random.Random) -> float:
    """Seconds until the next attempt. `attempts` missed before; `missed`: None where an error ended it."""
    if isinstance(missed, AttemptMissed) and missed.chance is not None:
        kept_waiting_s = missed.application_wait_ms / 1000
        return max(SWAP_LOCKS.wait_s(attempts + 1, random_source), SHARE * kept_waiting_s)
    return SWAP_MOMENT.wait_s(attempts + 1, random_source)
