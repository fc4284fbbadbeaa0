"""How the window of jobs in flight moves: raised step by step, halved when a signal is over its limit.

Additive increase, multiplicative decrease, as TCP does; and like there it doubles until something is over its limit
for the first time. Pure: no clock and no connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from replank.values.states import WindowCause
from sql.health.health_signals import Reading

CALM = 0.8
"""Below this share of every limit the window may be raised; from there to the limit it stays, so as not to swing."""

RAISE_S = 1.0
HALVE_S = 5.0
"""A halving needs time to be seen in the signals: lag falls only when the jobs under way have ended."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """`size` of the window where nothing closes it. Times are seconds of one clock.

    `cause` is what it is so for, and of which `signal`; the figures are in `reason`.
    """

    size: int
    doubling: bool = True
    raised_at: float = float("-inf")
    halved_at: float = float("-inf")
    closed: bool = False
    cause: WindowCause | None = None
    signal: str = ""
    reason: str = ""


def next_pace(pace: Pace, readings: Sequence[Reading], *, maximum: int, now: float) -> Pace:
    """The pace after these readings. A signal that cannot be read closes the window until it can."""
    unread = next((reading for reading in readings if reading.problem), None)
    if unread is not None:
        reason = f"closed: {unread.signal} cannot be read: {unread.problem}"
        return replace(pace, closed=True, cause=WindowCause.UNREAD, signal=unread.signal, reason=reason)
    present = replace(pace, closed=False, size=min(pace.size, maximum))
    over = [reading for reading in readings if reading.strain > 1]
    if over:
        return _over(present, over, now=now)
    near = max(readings, key=lambda reading: reading.strain, default=None)
    if near is not None and near.strain > CALM and present.size < maximum:
        reason = f"not raised: {near.words}"
        return replace(present, cause=WindowCause.NEAR, signal=near.signal, reason=reason)
    return _raised(present, maximum=maximum, now=now)


def _over(pace: Pace, over: Sequence[Reading], *, now: float) -> Pace:
    """Halved, but not again before the last halving shows. What piles up may need that nothing is written at all."""
    worst = max(over, key=lambda reading: (reading.backlog, reading.strain))
    again = now - pace.halved_at >= HALVE_S
    size = max(pace.size // 2, 0 if worst.backlog else 1) if again else pace.size
    verb = "closed" if size == 0 else "halved"
    halved = replace(pace, doubling=False, cause=WindowCause.OVER, signal=worst.signal, reason=f"{verb}: {worst.words}")
    return replace(halved, size=size, halved_at=now, raised_at=now) if again else halved


def _raised(pace: Pace, *, maximum: int, now: float) -> Pace:
    if pace.size >= maximum:
        return replace(pace, cause=WindowCause.LIMIT, signal="", reason="")
    words = "raised step by step: no signal is near its limit"
    calm = replace(pace, cause=WindowCause.RAISED, signal="", reason=words)
    if now - pace.raised_at < RAISE_S:
        return calm
    size = pace.size * 2 if pace.doubling and pace.size else pace.size + 1
    return replace(calm, size=min(size, maximum), raised_at=now)
