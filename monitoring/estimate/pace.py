"""What a job takes: as measured in this run, with what is known beforehand where little is measured yet. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.estimate.snapshot import TableSnapshot, Work

FIXED_S = 0.012
"""What a job takes beside its rows: claiming, planning, committing."""

PER_ROW_S = {
    "copy": 2.5e-6,
    "drain": 0.1e-6,
    "index": 0.9e-6,
    "verify": 0.9e-6,
    "vacuum": 0.4e-6,
    "repair": 1.0e-6,
    "validate": 0.3e-6,
    "backfill": 12e-6,
}
"""Known beforehand, for rows of 200 bytes on one core of a present machine. A verification reads both sides."""

SMALL_ROWS = 1_000
KNOWN_JOBS = 5
"""A job of few rows is all fixed; what is known beforehand counts as much as so many jobs."""

KNOWN_ROWS = 30_000
"""What was known beforehand counts as much as so many rows of this run."""

KNOWN_S = 0.5
"""And what is known of the machine as much as so many seconds of work."""

SPREAD_KNOWN = 0.7
SPREAD_OF_TABLE = 0.35
SPREAD_ALWAYS = 0.25
"""Spreads of the logarithm: of what is known beforehand, of one table against all, of anything."""


@dataclass(frozen=True, kw_only=True)
class _Measured:
    rows: int
    seconds: float
    """Beside what its jobs take whatever their size."""


def _rows(kind: str, table: TableSnapshot, work: Work) -> int:
    """Of what was done on a table. Index jobs and the like report no rows: they go over all of the table's."""
    return work.rows if kind in ("copy", "verify", "backfill") else work.done * table.rows_of_one(kind)


def _fixed(tables: Sequence[TableSnapshot]) -> float:
    """What jobs of few rows took; all of it is what any job takes beside its rows."""
    small = [
        work
        for table in tables
        for kind, work in table.work.items()
        if kind != "backfill" and work.done and _rows(kind, table, work) <= SMALL_ROWS * work.done
    ]
    jobs, seconds = sum(work.done for work in small), sum(work.seconds for work in small)
    return (FIXED_S * KNOWN_JOBS + seconds) / (KNOWN_JOBS + jobs)


class Pace:
    """Seconds per row of each kind of job, with its spread: of all tables, and of each."""

    def __init__(self, tables: Sequence[TableSnapshot]) -> None:
        # Asked thousands of times for each estimate. A table in another state shares its work, which lives on here.
        self._tables = tables
        self._found: dict[tuple[int, str, float], float] = {}
        self._known = frozenset(id(table.work) for table in tables)
        self.fixed_s = _fixed(tables)
        self._sums = {kind: _add([self._measured(kind, table) for table in tables]) for kind in PER_ROW_S}
        self.machine = self._machine()
        self._of_all = {
            kind: (self.machine * PER_ROW_S[kind] * KNOWN_ROWS + found.seconds) / (KNOWN_ROWS + found.rows)
            for kind, found in self._sums.items()
        }

    def _measured(self, kind: str, table: TableSnapshot) -> _Measured:
        work = table.of(kind)
        rows = _rows(kind, table, work)
        if kind == "backfill":
            # Its chunks are small and end with a commit each: all of it counts as its rows'.
            return _Measured(rows=rows, seconds=work.seconds)
        if rows <= SMALL_ROWS * work.done:
            # Its seconds say nothing about rows.
            return _Measured(rows=0, seconds=0.0)
        return _Measured(rows=rows, seconds=max(work.seconds - self.fixed_s * work.done, 0.2 * work.seconds))

    def _machine(self) -> float:
        """How much slower than known beforehand everything is here."""
        weight, total = KNOWN_S, 0.0
        for kind, found in self._sums.items():
            if found.rows and found.seconds:
                share = min(found.seconds, 5.0) * found.rows / (found.rows + KNOWN_ROWS)
                total += share * math.log(found.seconds / found.rows / PER_ROW_S[kind])
                weight += share
        return min(max(math.exp(total / weight), 0.2), 20.0)

    def per_row_s(self, kind: str, table: TableSnapshot, z: float) -> float:
        """Seconds per row, `z` spreads above the middle."""
        key = (id(table.work), kind, z)
        if key in self._found:
            return self._found[key]
        own = self._measured(kind, table)
        middle = (self._of_all[kind] * KNOWN_ROWS + own.seconds) / (KNOWN_ROWS + own.rows)
        found = middle * math.exp(z * self.spread(kind, own.rows))
        if id(table.work) in self._known:
            self._found[key] = found
        return found

    def spread(self, kind: str, own_rows: int) -> float:
        """Of the logarithm: it narrows with what is measured."""
        known = SPREAD_KNOWN**2 * KNOWN_ROWS / (KNOWN_ROWS + self._sums[kind].rows)
        of_table = SPREAD_OF_TABLE**2 * KNOWN_ROWS / (KNOWN_ROWS + own_rows)
        return math.sqrt(SPREAD_ALWAYS**2 + known + of_table)


def _add(found: Sequence[_Measured]) -> _Measured:
    return _Measured(rows=sum(m.rows for m in found), seconds=sum(m.seconds for m in found))
