"""When to ask for a lock that many transactions are in the way of: what is seen of them, and the chance it gives."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sql.lock_traffic import Holder

REMEMBERED = 200
GAP_S = 0.5
"""Between two looks that are further apart than this a transaction may have lasted for any time."""

FIRST_LOOKS = 5
"""So many moments are looked at; then the first that is as good as the best of them is taken."""

GOOD = 0.9
TOO_OLD = 0.1
"""Where one transaction alone leaves a smaller chance than this, nobody is made to wait for nothing."""


@dataclass(kw_only=True)
class Traffic:
    """How long transactions that hold a set's tables last, from looks at them. Times are in seconds."""

    lasted: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    gave_way: bool = False
    """Whether the last attempt met a transaction that went on to a table which was locked by then."""
    _open: dict[tuple[int | None, str | None], float] = field(default_factory=dict)
    _looked_at: float = float("-inf")

    def note(self, present: Sequence[Holder], *, now: float) -> None:
        """Remember a look, made at `now` on a clock that only goes on."""
        open_now = {holder.key: holder.seconds for holder in present}
        gap = now - self._looked_at
        if gap <= GAP_S:
            self.lasted.extend(age + gap / 2 for key, age in self._open.items() if key not in open_now)
        self._open, self._looked_at = open_now, now

    def chance(self, present: Sequence[Holder], wait_s: float) -> float:
        """How likely all of these end within `wait_s`: 0 to 1."""
        found = 1.0
        for holder in present:
            found *= self.chance_of_one(holder.seconds, wait_s)
        return found

    def chance_of_one(self, age_s: float, wait_s: float) -> float:
        """Of those that lasted as long as this one has, the share that ended within `wait_s` more.

        Where nothing like it was seen: what has lasted for a time is expected to last for as long again.
        """
        longer = [lasted for lasted in self.lasted if lasted > age_s]
        ended = sum(lasted <= age_s + wait_s for lasted in longer)
        return (ended + wait_s / (wait_s + age_s)) / (len(longer) + 1)


@dataclass(kw_only=True)
class Choice:
    """Looks for a good moment among those that come: five are looked at, then the first as good is taken."""

    best: float = -1.0
    looks: int = 0

    def is_good(self, chance: float) -> bool:
        """Whether to begin now."""
        if chance >= GOOD or (self.looks >= FIRST_LOOKS and chance >= self.best):
            return True
        self.best = max(self.best, chance)
        self.looks += 1
        return False
