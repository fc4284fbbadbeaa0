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

    `least` is how long it takes however many share it: its longest job. `turn_s` is what the coordinator does first.
    """

    seconds: float
    width: int = 1
    least: float = 0.0
    turn_s: float = 0.0

    def after(self, turn_s: float) -> Stage:
        """The same behind such a turn. Made thousands of times for each estimate, so without `dataclasses.replace`."""
        return Stage(seconds=self.seconds, width=self.width, least=self.least, turn_s=turn_s)


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The stages of one table, one after the other.

    Those `after` come when all tables of its set have come so far, and the coordinator has spent `swap_s` on it.
    """

    set_no: int
    before: tuple[Stage, ...]
    after: tuple[Stage, ...] = ()
    swap_s: float = 0.0
    done_s: float = 0.0
    """The coordinator's last word on the table."""


@dataclass(kw_only=True, eq=False)
class _Active:
    """A stage that workers may take part in. `ends_at` is fixed when a worker begins it."""

    seconds: float
    width: int
    least: float
    chain: int
    ends_at: float = math.nan


class _Coordinator:
    """Does one thing after the other: each stage begins with a turn of its."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def after(self, now: float, seconds: float) -> float:
        """When it is through with what it sets about now."""
        self._free_at = max(self._free_at, now) + seconds
        return self._free_at


def makespan(chains: Sequence[Chain], *, workers: int, handover_s: float) -> float:
    """Seconds until all chains are through. Workers take the stages in the order in which these begin."""
    coordinator = _Coordinator()
    stages = [iter(chain.before) for chain in chains]
    members: dict[int, list[int]] = defaultdict(list)
    for number, chain in enumerate(chains):
        members[chain.set_no].append(number)
    missing = {set_no: len(found) for set_no, found in members.items()}
    pending: list[tuple[float, int, _Active]] = []
    order = itertools.count()
    last = 0.0

    def go_on(number: int, now: float) -> None:
        """The next stage of a chain; at the end of its first part, its set's swap."""
        nonlocal last
        stage, set_no = next(stages[number], None), chains[number].set_no
        if stage is not None:
            active = _Active(seconds=stage.seconds, width=stage.width, least=stage.least, chain=number)
            begins = coordinator.after(now, stage.turn_s) + handover_s
            heapq.heappush(pending, (begins, next(order), active))
        elif missing[set_no] > 1:
            missing[set_no] -= 1
        elif missing[set_no] == 1:
            missing[set_no] = 0
            last = max(last, swapped_at := coordinator.after(now, sum(chains[n].swap_s for n in members[set_no])))
            for member in members[set_no]:
                stages[member] = iter(chains[member].after)
                go_on(member, swapped_at)
        else:
            last = max(last, coordinator.after(now, chains[number].done_s))

    for number in range(len(chains)):
        go_on(number, 0.0)
    now = 0.0
    # Those that no worker has come to yet wait in their order, and are left alone.
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
