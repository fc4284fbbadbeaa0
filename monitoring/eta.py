"""How long a run still works: an interval, from what its jobs took so far. Pure.

What every stage of every table will take is put together from seconds per row, and workers are sent through it as the
coordinator would send them: so the last large table's indexes and verification count as what they are, time in which
most workers wait. The interval's ends are the same with every pace at the quick and at the slow end of what is
plausible. Pauses and closed windows are no part of it, as nobody knows how long they last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from monitoring.moment import CacheMoment, Moment, TableMoment, Work
from monitoring.pace import Pace
from monitoring.schedule import Chain, Stage, makespan

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

HANDOVER_S = 0.06
"""From a barrier that opens to the first job behind it."""

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
SPREAD_OF_TURNS = 0.45
"""Of the logarithm of what the coordinator needs, and of what is told from few cases."""

Z = 1.8
"""Spreads between the middle and an end."""

SMALLEST_S = 0.5
"""An end is never nearer to the middle: turns of the coordinator and commits are not told more exactly."""

_BEGINNING = {"rebuild": "captured", "backfill": "extended"}
"""Where a table stands when its first job begins."""

_REBUILD = ("copying", "first_drain", "indexing", "catching_up", "verifying", "ready", "validating")
_STANDS_BEFORE = {"planned": "copying", "captured": "copying", "repairing": "catching_up", "swapped": "validating"}


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
        # Nobody works yet: whether two or twenty will come, nobody knows.
        return None
    low, middle, high = (_seconds(moment, pace, z) for z in (-Z, 0.0, Z))
    return Eta(low=max(min(low, middle - SMALLEST_S), 0.0), middle=middle, high=max(high, middle + SMALLEST_S))


def _seconds(moment: Moment, pace: Pace, z: float) -> float:
    """All that is left, with paces `z` spreads from the middle."""
    slower = math.exp(z * (SPREAD_OF_TURNS + (SPREAD_UNPLANNED if moment.unplanned else 0.0)))
    workers = max(moment.workers, 1)
    idle_s = IDLE_S if moment.idle_s is None else moment.idle_s
    plan = _Left(pace=pace, workers=workers, z=z, turns=_turns(moment, slower), idle_s=idle_s)
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


def _correction(taken_s: float, told_s: float) -> float:
    """What was done so far took `taken_s`, and is told to have taken `told_s`: what is left will be off likewise."""
    off = (taken_s + DAMPING_S) / (max(told_s, 0.0) + DAMPING_S)
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
    planning = _rest(moment.unplanned * PLANNING_S, _planning_age(moment)) if moment.unplanned else 0.0
    return (found.left * each + planning) * slower**2


def _planning_age(moment: Moment) -> float:
    """For how long the coordinator has been planning tables: since the last script ended."""
    return 0.0 if moment.scripts.left else max(moment.at_s - moment.scripts.seconds, 0.0)


def _of_tables(moment: Moment, seconds: float) -> float:
    """Where no job is left to wait for, the coordinator has been at something for as long as nothing moved."""
    if any(work.left for table in moment.tables for work in table.work.values()):
        return seconds
    return max(seconds - moment.quiet_s, 0.3 * seconds, min(moment.quiet_s, seconds * 3) / 3)


def _unplanned(moment: Moment) -> Iterator[TableMoment]:
    """Tables of the plan that the ledger does not know yet: what is known of all, spread evenly."""
    for _ in range(moment.unplanned):
        yield TableMoment(
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


def _cache_jobs(cache: CacheMoment) -> int:
    """At least one where none is known yet: filling, or an index."""
    return cache.work.left or (1 if cache.state in ("planned", "building") else 0)


@dataclass(frozen=True, kw_only=True)
class _Left:
    """What is left of tables, stage by stage."""

    pace: Pace
    workers: int
    z: float
    turns: Mapping[str, float]
    idle_s: float
    """The time until a job's place has the next one."""

    @property
    def fixed_s(self) -> float:
        """What a job takes beside its rows."""
        return self.pace.fixed_s + self.idle_s

    def seconds(self, tables: Sequence[TableMoment]) -> float:
        """Until all of them are done."""
        chains = [self.chain(number, table) for number, table in enumerate(tables) if table.state != "done"]
        return makespan(chains, workers=self.workers, handover_s=HANDOVER_S * math.exp(self.z * SPREAD_OF_TURNS))

    def chain(self, number: int, table: TableMoment) -> Chain:
        if table.method == "backfill":
            # It swaps nothing, so it waits for nobody.
            return Chain(set_no=-2 - number, before=tuple(self._backfill(table)), done_s=self.turns["done"])
        stages: dict[str, Callable[[TableMoment, bool], Stage]] = {
            "copying": self._copy,
            "first_drain": lambda t, now: self._jobs(t, "drain", 1, now),
            "indexing": lambda t, now: self._jobs(t, "index", t.indexes, now),
            "catching_up": lambda t, now: self._jobs(t, "drain", 1, now),
            "verifying": self._verify,
            "ready": lambda t, now: self._jobs(t, "drain", 0, now),
            "validating": lambda t, now: self._jobs(t, "validate", t.keys, now),
        }
        present = _STANDS_BEFORE.get(table.state, table.state)
        begun = present == table.state
        at = _REBUILD.index(present)
        left = [
            replace(stages[name](table, begun and name == present), turn_s=0.0 if name == present else self.turns[name])
            for name in _REBUILD[at:]
        ]
        if table.state == "planned":
            left[0] = replace(left[0], turn_s=self.turns["captured"] + self.turns["copying"])
        swap = max(_REBUILD.index("validating") - at, 0)
        return Chain(
            set_no=table.set_no,
            before=tuple(left[:swap]),
            after=tuple(left[swap:]),
            swap_s=self.turns["swapped"] if swap else 0.0,
            done_s=self.turns["done"],
        )

    def _jobs(self, table: TableMoment, kind: str, count: int, begun: bool) -> Stage:
        """Jobs that each go over the whole table. Where their stage has begun, the ledger knows how many are left."""
        each = self.fixed_s + table.rows_of_one(kind) * self.pace.per_row_s(kind, table, self.z)
        work = table.of(kind)
        if not begun:
            return self._stage(each * count, count, math.ceil(count / max(self.workers, 1)) * each)
        longest = [_rest(each, age) for age in work.running] + [each] * work.waiting
        return self._stage(sum(longest), len(longest), max(longest, default=0.0))

    def _copy(self, table: TableMoment, begun: bool) -> Stage:
        rows = table.rows
        if begun:
            rows = _rows_left(table, table.of("copy"))
        return self._chunks(table, "copy", rows, begun=begun)

    def _verify(self, table: TableMoment, begun: bool) -> Stage:
        """Both sides, with VACUUM and ANALYZE beside it."""
        work = table.of("verify")
        rows = 2 * table.rows
        if begun:
            rows = round(rows * work.left / max(work.left + work.done_now, 1))
        chunks = self._chunks(table, "verify", rows, begun=begun)
        vacuum = self._jobs(table, "vacuum", 1, begun)
        return Stage(
            seconds=chunks.seconds + vacuum.seconds,
            width=chunks.width + vacuum.width,
            least=max(chunks.least, vacuum.least),
        )

    def _chunks(self, table: TableMoment, kind: str, rows: int, *, begun: bool) -> Stage:
        work = table.of(kind)
        count = max(work.left, 1) if begun else max(1, min(16, rows // 20_000))
        if begun and not table.cut:
            count = max(count, self.workers)
        fixed_s = self.fixed_s
        if kind == "backfill":
            count = max(count, rows * work.done // work.rows if work.rows else 0)
            fixed_s = self.idle_s
        each = fixed_s + rows / count * self.pace.per_row_s(kind, table, self.z)
        under_way = sum(min(age, 0.7 * each) for age in work.running) if begun else 0.0
        return self._stage(max(count * each - under_way, 0.0), count, 0.3 * each)

    def _backfill(self, table: TableMoment) -> Iterator[Stage]:
        """A round that fills, one that finds nothing more, then what proves NOT NULL and uniqueness."""
        if table.state in ("planned", "extended", "backfilling"):
            looked_at = table.of("backfill").rows_now if table.state == "backfilling" else 0
            rows = max(table.rows - looked_at, table.rows // 50)
            yield self._chunks(table, "backfill", rows, begun=table.state == "backfilling")
            if table.rounds == 0:
                yield self._chunks(table, "backfill", table.rows // 4, begun=False)
        begun = table.state == "constraining"
        yield self._jobs(table, "validate", 1, begun)
        yield self._jobs(table, "index", 0, begun)

    @staticmethod
    def _stage(seconds: float, width: int, least: float) -> Stage:
        return Stage(seconds=seconds, width=max(width, 1), least=least)


def _rows_left(table: TableMoment, work: Work) -> int:
    """Of a copy that has begun: by its jobs where all are cut, else by the rows that are expected."""
    if not table.cut:
        return max(table.rows - work.rows_now, table.rows // 20)
    return round(table.rows * work.left / max(work.left + work.done_now, 1))


def _rest(each: float, age: float) -> float:
    """What is left of a job that should take so long; one that is late may take a third of its age more."""
    return max(each - age, age / 3)
