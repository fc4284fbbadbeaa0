"""How long it takes workers to go through the stages of several tables. Pure."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EPSILON_S = 1e-9


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
    ends_at: float = math.nan


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
    now = 0.0
    # Those that nobody has come to yet wait in their order, and are not looked at.
    active: dict[int, _Active] = {}
    while pending or active:
        while pending and pending[0][0] <= now + EPSILON_S:
            _, place, begun = heapq.heappop(pending)
            active[place] = begun
        served = _served(active, workers, now)
        then = min((_end(one, share, now) for _, one, share in served), default=math.inf)
        then = min(then, pending[0][0] if pending else math.inf)
        for place, one, share in served:
            one.seconds = max(one.seconds - share * (then - now), 0.0)
            if one.seconds <= EPSILON_S and one.ends_at <= then + EPSILON_S:
                del active[place]
                go_on(one.chain, then)
        now = then
    return last


def _served(active: Mapping[int, _Active], workers: int, now: float) -> list[tuple[int, _Active, int]]:
    """Place, stage and its workers, first come first served; one that waits for its longest job keeps one worker."""
    free = workers
    found: list[tuple[int, _Active, int]] = []
    for place, one in active.items():
        if free <= 0:
            break
        share = min(one.width if one.seconds > EPSILON_S else 1, free)
        if math.isnan(one.ends_at):
            one.ends_at = now + one.least
        free -= share
        found.append((place, one, share))
    return found


def _end(one: _Active, share: int, now: float) -> float:
    return max(now + one.seconds / share, one.ends_at)
