"""How long a run still works: an interval, from what its jobs took so far. Pure.

What every stage of every table will take is put together from seconds per row, and workers are sent through it as the
coordinator would send them: so the last large table's indexes and verification count as what they are, time in which
most workers wait. The interval's ends are the same with every pace at the quick and at the slow end of what is
plausible. Pauses and closed windows are no part of it, as it is unknown how long they last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from monitoring.estimate.pace import Pace
from monitoring.estimate.snapshot import CacheSnapshot, Moment, TableSnapshot
from monitoring.estimate.work_left import SPREAD_OF_TURNS, WorkLeft, rest_of

TURN_S = {
    "captured": 0.04,
    "copying": 0.005,
    "first_drain": 0.005,
    "indexing": 0.02,
    "catching_up": 0.02,
    "verifying": 0.01,
    "ready": 0.02,
    "swapped": 0.12,
    "validating": 0.01,
    "done": 0.03,
    "extended": 0.04,
    "backfilling": 0.02,
    "constraining": 0.02,
}
"""What the coordinator needs to move a table into a state: known beforehand, and worth `KNOWN_TURNS` of this run."""

KNOWN_TURNS = 3
MOST_TURNS = 10

IDLE_S = 0.03
"""Between two jobs of a worker, where it is not measured yet."""

SCRIPT_BLOCK_S = 0.1
PLANNING_S = 0.2
"""What planning one table takes."""

CACHE_JOB_S = 1.0
ENDING_S = 0.1
"""From the last table to the run's own word."""

DAMPING_S = 2.0
MOST_OFF = 3.0
TRUST = 0.5
"""How far what is left follows what is done: seconds of doubt, the most it may be off, and the power of it."""

SPREAD_UNPLANNED = 0.25
"""Of the logarithm of what tables take that were not measured yet."""

Z = 1.8
"""Spreads between the middle and an end."""

SMALLEST_S = 0.5
"""An end is never nearer to the middle: turns of the coordinator and commits are not told more exactly."""

_BEGINNING = {"rebuild": "captured", "backfill": "extended"}
"""Where a table stands when its first job begins."""


@dataclass(frozen=True, kw_only=True)
class Eta:
    """Seconds of work that are left."""

    low: float
    middle: float
    high: float


def estimate(moment: Moment) -> Eta | None:
    """The time left; None where nothing can be told: the run is not open, or nothing of it is known yet."""
    if not moment.open:
        return None
    pace = Pace(moment.tables)
    if not (moment.workers or moment.scripts.done):
        # No worker is connected yet, and how many will come is unknown.
        return None
    low, middle, high = (_seconds(moment, pace, z) for z in (-Z, 0.0, Z))
    return Eta(low=max(min(low, middle - SMALLEST_S), 0.0), middle=middle, high=max(high, middle + SMALLEST_S))


def _seconds(moment: Moment, pace: Pace, z: float) -> float:
    """All that is left, with paces `z` spreads from the middle."""
    slower = math.exp(z * (SPREAD_OF_TURNS + (SPREAD_UNPLANNED if moment.unplanned else 0.0)))
    workers = max(moment.workers, 1)
    idle_s = IDLE_S if moment.idle_s is None else moment.idle_s
    plan = WorkLeft(pace=pace, workers=workers, z=z, turns=_turns(moment, slower), idle_s=idle_s)
    scripts = _of_scripts(moment, slower)
    left = [*moment.tables, *_unplanned(moment)]
    tables = plan.seconds(left)
    if moment.unplanned:
        tables *= max(_planning_age(moment) / (moment.unplanned * PLANNING_S), 1.0) ** TRUST
    if moment.working_s is not None:
        whole = plan.seconds([replace(table, state=_BEGINNING[table.method]) for table in left])
        tables *= _correction(moment.working_s, (whole - tables) / slower)
    caches = _of_caches(moment, workers, slower)
    return scripts + _of_tables(moment, tables) + caches + (ENDING_S + moment.measuring_s) * slower


def _correction(taken_s: float, estimated_s: float) -> float:
    """What was done so far took `taken_s`, and was estimated to take `estimated_s`: the rest will be off likewise."""
    off = (taken_s + DAMPING_S) / (max(estimated_s, 0.0) + DAMPING_S)
    return float(min(max(off, 1 / MOST_OFF), MOST_OFF) ** TRUST)


def _turns(moment: Moment, slower: float) -> dict[str, float]:
    """By the state that a table is moved into, what the coordinator needs for it."""
    seen = {state: (count, seconds) for state, (count, seconds) in moment.turns.items() if state in TURN_S}
    weights = {state: min(count, MOST_TURNS) for state, (count, _) in seen.items()}
    slow = sum(weights[state] * math.log(seconds / TURN_S[state]) for state, (_, seconds) in seen.items())
    machine = math.exp(TRUST * slow / (KNOWN_TURNS + sum(weights.values())))
    found: dict[str, float] = {}
    for state, known in TURN_S.items():
        count, seconds = seen.get(state, (0, 0.0))
        found[state] = slower * (known * machine * KNOWN_TURNS + seconds * count) / (KNOWN_TURNS + count)
    return found


def _of_scripts(moment: Moment, slower: float) -> float:
    """The scripts, then the planning of the tables, which is one long turn of the coordinator."""
    found = moment.scripts
    each = (SCRIPT_BLOCK_S * 5 + found.seconds) / (5 + found.done)
    planning = rest_of(moment.unplanned * PLANNING_S, _planning_age(moment)) if moment.unplanned else 0.0
    return (found.left * each + planning) * slower**2


def _planning_age(moment: Moment) -> float:
    """For how long the coordinator has been planning tables: since the last script ended."""
    return 0.0 if moment.scripts.left else max(moment.at_s - moment.scripts.seconds, 0.0)


def _of_tables(moment: Moment, seconds: float) -> float:
    """Where no job is left to wait for, the coordinator has been at something for as long as nothing moved."""
    if any(work.left for table in moment.tables for work in table.work.values()):
        return seconds
    return max(seconds - moment.quiet_s, 0.3 * seconds, min(moment.quiet_s, seconds * 3) / 3)


def _unplanned(moment: Moment) -> Iterator[TableSnapshot]:
    """Tables of the plan that the ledger does not know yet: what is known of all, spread evenly."""
    for _ in range(moment.unplanned):
        yield TableSnapshot(
            set_no=-1,
            state="planned",
            method="rebuild",
            rows=moment.unplanned_rows // moment.unplanned,
            heaps=1,
            indexes=2,
            keys=1,
            cut=False,
        )


def _of_caches(moment: Moment, workers: int, slower: float) -> float:
    """Caches come when all tables are done. Their jobs are not alike: this is the weakest part of it."""
    done = sum(cache.work.done for cache in moment.caches)
    seconds = sum(cache.work.seconds for cache in moment.caches)
    each = (CACHE_JOB_S + seconds) / (1 + done)
    unfinished = [cache for cache in moment.caches if cache.state != "done"]
    left = sum(_cache_jobs(cache) for cache in unfinished) * each
    under_way = sum(min(age, each) for cache in unfinished for age in cache.work.running)
    return (max(left - under_way, 0.0) / min(workers, max(len(unfinished), 1)) + 0.2 * len(unfinished)) * slower**2


def _cache_jobs(cache: CacheSnapshot) -> int:
    """At least one where none is known yet: filling, or an index."""
    return cache.work.left or (1 if cache.state in ("planned", "building") else 0)
