"""What the ledger says of a run's work at one moment: all that an estimate of the time left is made from.

Times are seconds in which the run might work: pauses and closed windows are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Work:
    """Jobs of one kind on one table or cache. `rows` and `seconds` are those of the `done` ones.

    `done_now` and `rows_now` are those of the present generation: a table may be compared more than once. A backfill's
    rows are those that it read.
    """

    done: int = 0
    rows: int = 0
    seconds: float = 0.0
    done_now: int = 0
    rows_now: int = 0
    waiting: int = 0
    running: tuple[float, ...] = ()
    """How long each leased job has been running."""

    @property
    def left(self) -> int:
        return self.waiting + len(self.running)

    def to_json(self) -> list[Any]:
        ages = [round(age, 2) for age in self.running]
        return [self.done, self.rows, round(self.seconds, 4), self.done_now, self.rows_now, self.waiting, ages]

    @classmethod
    def from_json(cls, document: list[Any]) -> Work:
        done, rows, seconds, done_now, rows_now, waiting, running = document
        return cls(
            done=done,
            rows=rows,
            seconds=seconds,
            done_now=done_now,
            rows_now=rows_now,
            waiting=waiting,
            running=tuple(running),
        )


NOTHING = Work()
"""Of a kind of job that a table has none of."""


@dataclass(frozen=True, kw_only=True)
class TableSnapshot:
    """One table. `rows` is the best that is known of their number; `indexes` are those that its next table gets."""

    set_no: int
    state: str
    method: str
    rows: int
    heaps: int
    """Relations of the next table that hold rows: its partitions, or itself."""
    indexes: int
    keys: int
    """Foreign keys that are validated after the swap."""
    cut: bool
    """Whether all its copy jobs (or those of a backfill's round) are in the ledger."""
    rounds: int = 0
    work: Mapping[str, Work] = field(default_factory=dict)
    weight: float = 1.0
    """As how many ordinary rows one of its rows counts, where most of it lies out of line; `rows` are such rows."""

    def of(self, kind: str) -> Work:
        return self.work.get(kind, NOTHING)

    def rows_of_one(self, kind: str) -> int:
        """Over how many rows a job goes that has no range: an index is built on one partition."""
        rows = round(self.rows / self.weight)
        return rows // self.heaps if kind in ("index", "validate") else rows

    def to_json(self) -> list[Any]:
        counts = [self.rows, self.heaps, self.indexes, self.keys, int(self.cut), self.rounds]
        work = {k: w.to_json() for k, w in self.work.items()}
        return [self.set_no, self.state, self.method, *counts, work, round(self.weight, 2)]

    @classmethod
    def from_json(cls, document: list[Any]) -> TableSnapshot:
        set_no, state, method, rows, heaps, indexes, keys, cut, rounds, work, *weight = document
        return cls(
            set_no=set_no,
            state=state,
            method=method,
            rows=rows,
            heaps=heaps,
            indexes=indexes,
            keys=keys,
            cut=bool(cut),
            rounds=rounds,
            work={kind: Work.from_json(found) for kind, found in work.items()},
            weight=weight[0] if weight else 1.0,
        )


@dataclass(frozen=True, kw_only=True)
class CacheSnapshot:
    """One cache that is built again when all tables are done."""

    state: str
    work: Work = field(default_factory=Work)

    def to_json(self) -> list[Any]:
        return [self.state, self.work.to_json()]

    @classmethod
    def from_json(cls, document: list[Any]) -> CacheSnapshot:
        return cls(state=document[0], work=Work.from_json(document[1]))


@dataclass(frozen=True, kw_only=True)
class ScriptsSnapshot:
    """Steps that are scripts: blocks done, the seconds these took, and blocks that are still to do."""

    done: int = 0
    seconds: float = 0.0
    left: int = 0

    def to_json(self) -> list[Any]:
        return [self.done, round(self.seconds, 3), self.left]

    @classmethod
    def from_json(cls, document: list[Any]) -> ScriptsSnapshot:
        return cls(done=document[0], seconds=document[1], left=document[2])


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A run at one moment. `at_s` is since it began.

    `workers` are those that had jobs lately, at most as many as the last open window allowed. `unplanned` are tables
    of the plan that the ledger does not know yet, with the rows that the catalogue says they have. `turns` is what the
    coordinator needed to move a table into a state: how often it was seen, and the median of the seconds since it had
    moved another one. `measuring_s` is what measuring took before the run began: it is done once more at its end.
    `idle_s` is for how long a place for a job stood empty between two jobs; None where too few have ended. No table has
    been moved for `quiet_s`; the first job began `working_s` ago, None where none is done.
    """

    at_s: float
    open: bool
    """Whether the run continues: not done, no operator needed, nothing rolled back."""
    workers: int
    unplanned: int = 0
    unplanned_rows: int = 0
    turns: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    measuring_s: float = 0.0
    idle_s: float | None = None
    quiet_s: float = 0.0
    working_s: float | None = None
    scripts: ScriptsSnapshot = field(default_factory=ScriptsSnapshot)
    tables: tuple[TableSnapshot, ...] = ()
    caches: tuple[CacheSnapshot, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Short, for recordings: what changes at every moment comes first."""
        working = None if self.working_s is None else round(self.working_s, 2)
        idle = None if self.idle_s is None else round(self.idle_s, 4)
        head = [round(self.at_s, 2), int(self.open), self.workers, self.unplanned, self.unplanned_rows, idle]
        return {
            "head": [*head, round(self.quiet_s, 2), working, round(self.measuring_s, 3), self.scripts.to_json()],
            "turns": {state: [count, round(seconds, 4)] for state, (count, seconds) in self.turns.items()},
            "tables": [table.to_json() for table in self.tables],
            "caches": [cache.to_json() for cache in self.caches],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Moment:
        at_s, is_open, workers, unplanned, unplanned_rows, idle_s, quiet_s, working_s, measuring_s, scripts = document[
            "head"
        ]
        return cls(
            at_s=at_s,
            open=bool(is_open),
            workers=workers,
            unplanned=unplanned,
            unplanned_rows=unplanned_rows,
            turns={state: (count, seconds) for state, (count, seconds) in document["turns"].items()},
            measuring_s=measuring_s,
            idle_s=idle_s,
            quiet_s=quiet_s,
            working_s=working_s,
            scripts=ScriptsSnapshot.from_json(scripts),
            tables=tuple(TableSnapshot.from_json(table) for table in document["tables"]),
            caches=tuple(CacheSnapshot.from_json(cache) for cache in document["caches"]),
        )
