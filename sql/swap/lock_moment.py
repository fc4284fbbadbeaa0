"""When to ask for a lock that many transactions are in the way of: what is seen of them, and the chance it gives."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sql.health.lock_traffic import Holder

REMEMBERED = 200
GAP_S = 0.5
"""Between two samples that are further apart than this a transaction may have lasted for any time."""

GOOD = 0.9
BEST = 0.9
"""A moment is taken that is better than nine of ten that were seen lately; a sample costs nothing."""
SEEN_LATELY = 300
FIRST_SAMPLES = 8
"""So many are seen before one is compared with them."""

TOO_OLD = 0.1
"""Where one transaction alone leaves a smaller chance than this, no session is made to wait for nothing."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A transaction that has ended: how long it lasted, and how many of the tables it held at last."""

    seconds: float
    tables: int


@dataclass(kw_only=True)
class Traffic:
    """What transactions that hold a set's tables are like, from samples of them. Times are in seconds."""

    ended: deque[Ended] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _open: dict[tuple[int | None, str | None], Holder] = field(default_factory=dict)
    _sampled_at: float = float("-inf")
    _chances: deque[float] = field(default_factory=lambda: deque(maxlen=SEEN_LATELY))

    def note(self, present: Sequence[Holder], *, now: float) -> None:
        """Remember a sample, taken at `now` on a monotonic clock."""
        open_now = {holder.key: holder for holder in present}
        gap = now - self._sampled_at
        if gap <= GAP_S:
            gone = [holder for key, holder in self._open.items() if key not in open_now]
            self.ended.extend(Ended(seconds=each.seconds + gap / 2, tables=each.tables) for each in gone)
        self._open, self._sampled_at = open_now, now

    def chance(self, present: Sequence[Holder], wait_s: float) -> float:
        """How likely all of these end within `wait_s` without a further table, which would be locked: 0 to 1."""
        found = 1.0
        for holder in present:
            found *= self.chance_of_one(holder, wait_s)
        return found

    def chance_of_one(self, holder: Holder, wait_s: float) -> float:
        """Of those that came as far as this one has, the share that ended so.

        Where nothing like it was seen: what has lasted for a time is expected to last for as long again.
        """
        alike = [each for each in self.ended if each.seconds > holder.seconds and each.tables >= holder.tables]
        ended = sum(each.tables == holder.tables and each.seconds <= holder.seconds + wait_s for each in alike)
        return (ended + _unknown(holder, wait_s)) / (len(alike) + 1)

    def is_good(self, chance: float) -> bool:
        """Whether this is a moment to begin, among those that come by."""
        lately = sorted(self._chances)
        self._chances.append(chance)
        return chance >= GOOD or (len(lately) >= FIRST_SAMPLES and chance >= lately[int(BEST * len(lately))])

    def is_stuck(self, holder: Holder, wait_s: float) -> bool:
        """Whether it is not likely to end within `wait_s`, whatever it does."""
        longer = [each for each in self.ended if each.seconds > holder.seconds]
        ended = sum(each.seconds <= holder.seconds + wait_s for each in longer)
        return (ended + _unknown(holder, wait_s)) / (len(longer) + 1) < TOO_OLD


def _unknown(holder: Holder, wait_s: float) -> float:
    return wait_s / (wait_s + holder.seconds)
