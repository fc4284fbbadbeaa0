"""How long it takes workers to go through the stages of several tables. Pure."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Work between two barriers of one table: `seconds` of one worker, which at most `width` may share.

    `least` is how long it takes however many share it: its longest job.
    """

    seconds: float
    width: int = 1
    least: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The stages of one table, one after the other. Those `after` come when all tables of its set have come so far."""

    set_no: int
    before: tuple[Stage, ...]
    after: tuple[Stage, ...] = ()


@dataclass(kw_only=True, eq=False)
class _Active:
    """A stage that workers may take part in. `ends_at` is fixed when somebody begins it."""

    seconds: float
    width: int
    least: float
    chain: int
    ends_at: float | None = None


class _Coordinator:
    """Does one thing after the other: each stage begins with a turn of its."""

    def __init__(self, turn_s: float, handover_s: float) -> None:
        self._free_at = 0.0
        self._turn_s = turn_s
        self._handover_s = handover_s

    def after(self, now: float, turns: float = 1.0) -> float:
        """When workers can begin what it sets about now."""
        self._free_at = max(self._free_at, now) + turns * self._turn_s
        return self._free_at + self._handover_s


def makespan(
    chains: Sequence[Chain], *, workers: int, turn_s: float, handover_s: float, swap_turns: float = 4.0
) -> float:
    """Seconds until all chains are through. Workers take the stages in the order in which these begin."""
    coordinator = _Coordinator(turn_s, handover_s)
    stages = [iter(chain.before) for chain in chains]
    swapped: set[int] = set()
    waiting_for = defaultdict(set)
    for number, chain in enumerate(chains):
        waiting_for[chain.set_no].add(number)
    pending: list[tuple[float, int, _Active]] = []
    order = itertools.count()
    last = 0.0

    def go_on(number: int, now: float) -> None:
        """The next stage of a chain; at the end of its first part, its set's swap."""
        nonlocal last
        stage = next(stages[number], None)
        if stage is not None:
            active = _Active(seconds=stage.seconds, width=stage.width, least=stage.least, chain=number)
            heapq.heappush(pending, (coordinator.after(now), next(order), active))
            return
        last = max(last, now)
        set_no = chains[number].set_no
        waiting_for[set_no].discard(number)
        if set_no in swapped or waiting_for[set_no]:
            return
        swapped.add(set_no)
        done_at = coordinator.after(now, swap_turns)
        last = max(last, done_at)
        for other in (n for n, chain in enumerate(chains) if chain.set_no == set_no):
            stages[other] = iter(chains[other].after)
            go_on(other, done_at)

    for number in range(len(chains)):
        go_on(number, 0.0)
    now, active = 0.0, [*_begun(pending, 0.0)]
    while pending or active:
        ends = [_end(one, share, now) for one, share in _shares(active, workers, now)]
        nearest = min(ends, default=float("inf"))
        then = min(nearest, pending[0][0] if pending else float("inf"))
        for one, share in _shares(active, workers, now):
            one.seconds = max(one.seconds - share * (then - now), 0.0)
        now = then
        finished = [
            one for one in active if one.ends_at is not None and one.seconds <= 1e-9 and one.ends_at <= now + 1e-9
        ]
        active = [one for one in active if one not in finished]
        for one in finished:
            go_on(one.chain, now)
        active += _begun(pending, now)
    return last


def _begun(pending: list[tuple[float, int, _Active]], now: float) -> Iterator[_Active]:
    while pending and pending[0][0] <= now + 1e-12:
        yield heapq.heappop(pending)[2]


def _shares(active: Sequence[_Active], workers: int, now: float) -> list[tuple[_Active, int]]:
    """How many workers each stage has, first come first served; one that only waits for its longest job keeps one."""
    free, found = workers, []
    for one in active:
        if free <= 0:
            break
        share = min(one.width if one.seconds > 1e-9 else 1, free)
        if one.ends_at is None:
            one.ends_at = now + one.least
        free -= share
        found.append((one, share))
    return found


def _end(one: _Active, share: int, now: float) -> float:
    assert one.ends_at is not None
    return max(now + one.seconds / share, one.ends_at)
