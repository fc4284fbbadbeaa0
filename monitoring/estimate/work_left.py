"""What is left of each table, stage by stage, in seconds of workers. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from monitoring.estimate.pace import Pace
from monitoring.estimate.schedule import Chain, Stage, makespan
from monitoring.estimate.snapshot import TableSnapshot, Work

HANDOVER_S = 0.06
"""From a barrier that opens to the first job behind it."""

SPREAD_OF_TURNS = 0.45
"""Of the logarithm of what the coordinator needs."""

_REBUILD = ("copying", "first_drain", "indexing", "catching_up", "verifying", "ready", "validating")
_STANDS_BEFORE = {"planned": "copying", "captured": "copying", "repairing": "catching_up", "swapped": "validating"}


@dataclass(frozen=True, kw_only=True)
class WorkLeft:
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

    def seconds(self, tables: Sequence[TableSnapshot]) -> float:
        """Until all of them are done."""
        chains = [self.chain(number, table) for number, table in enumerate(tables) if table.state != "done"]
        return makespan(chains, workers=self.workers, handover_s=HANDOVER_S * math.exp(self.z * SPREAD_OF_TURNS))

    def chain(self, number: int, table: TableSnapshot) -> Chain:
        if table.method == "backfill":
            # It swaps nothing, so it waits for no other table.
            return Chain(set_no=-2 - number, before=tuple(self._backfill(table)), done_s=self.turns["done"])
        stages: dict[str, Callable[[TableSnapshot, bool], Stage]] = {
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
            stages[name](table, begun and name == present).after(0.0 if name == present else self.turns[name])
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

    def _jobs(self, table: TableSnapshot, kind: str, count: int, begun: bool) -> Stage:
        """Jobs that each go over the whole table. Where their stage has begun, the ledger knows how many are left."""
        each = self.fixed_s + table.rows_of_one(kind) * self.pace.per_row_s(kind, table, self.z)
        work = table.of(kind)
        if not begun:
            return self._stage(each * count, count, math.ceil(count / max(self.workers, 1)) * each)
        longest = [rest_of(each, age) for age in work.running] + [each] * work.waiting
        return self._stage(sum(longest), len(longest), max(longest, default=0.0))

    def _copy(self, table: TableSnapshot, begun: bool) -> Stage:
        rows = table.rows
        if begun:
            rows = _rows_left(table, table.of("copy"))
        return self._chunks(table, "copy", rows, begun=begun)

    def _verify(self, table: TableSnapshot, begun: bool) -> Stage:
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

    def _chunks(self, table: TableSnapshot, kind: str, rows: int, *, begun: bool) -> Stage:
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

    def _backfill(self, table: TableSnapshot) -> Iterator[Stage]:
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


def _rows_left(table: TableSnapshot, work: Work) -> int:
    """Of a copy that has begun: by its jobs where all are cut, else by the rows that are expected."""
    if not table.cut:
        return max(table.rows - work.rows_now, table.rows // 20)
    return round(table.rows * work.left / max(work.left + work.done_now, 1))


def rest_of(each: float, age: float) -> float:
    """What is left of a job that should take so long; one that is late may take a third of its age more."""
    return max(each - age, age / 3)
