"""Queries before against after: how much faster, by which plan, and which no longer work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from replank.values.measurement import MeasuredQuery, Measurement
from replank.wording import counted


@dataclass(frozen=True, kw_only=True)
class ComparedQuery:
    """One query. `faster` is 1 - after / before of the medians: 0.2 is a fifth less time, below 0 is slower.

    It is None where a figure is missing; `failure` says so where the query worked before and does not now.
    """

    before: MeasuredQuery
    after: MeasuredQuery | None

    @property
    def name(self) -> str:
        return self.before.name

    @property
    def failure(self) -> str:
        if self.after is None:
            return "was not measured again"
        if self.after.problem and not self.before.problem:
            return self.after.problem
        if self.before.rows and self.after.rows == 0:
            return f"found {counted(self.before.rows, 'row')} before, and finds none now"
        return ""

    @property
    def no_figure(self) -> str:
        """Why nothing can be compared, where that is no failure."""
        if self.before.problem:
            return f"had no figure before the run: {self.before.problem}"
        return ""

    @property
    def faster(self) -> float | None:
        before, after = self.before.median_ms, None if self.after is None else self.after.median_ms
        if before is None or after is None or self.failure:
            return None
        return 1 - after / before if before else 0.0

    @property
    def scattered(self) -> bool:
        """Whether the middle halves of the times overlap: then the difference may be chance."""
        if self.after is None or min(len(self.before.times_ms), len(self.after.times_ms)) < 3:
            return True
        low, _, high = quantiles(self.before.times_ms, n=4)
        next_low, _, next_high = quantiles(self.after.times_ms, n=4)
        return low <= next_high and next_low <= high

    @property
    def plans(self) -> tuple[str, str]:
        """How both read their tables, in one line each."""
        after = None if self.after is None else self.after.plan
        return plan_line(self.before.plan), plan_line(after)

    @property
    def costs(self) -> tuple[float | None, float | None]:
        """What the planner thinks of both, in its own unit."""
        after = None if self.after is None else self.after.plan
        return _cost(self.before.plan), _cost(after)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """All queries. `median_faster` is the median over those with a figure, `total_faster` of the sum of their times."""

    queries: tuple[ComparedQuery, ...]

    @property
    def timed(self) -> list[ComparedQuery]:
        return [query for query in self.queries if query.before.timed]

    @property
    def planned(self) -> list[ComparedQuery]:
        return [query for query in self.queries if not query.before.timed]

    @property
    def failures(self) -> list[ComparedQuery]:
        return [query for query in self.queries if query.failure]

    @property
    def median_faster(self) -> float | None:
        found = [query.faster for query in self.timed if query.faster is not None]
        return median(found) if found else None

    @property
    def surely_faster(self) -> float | None:
        """The same with 0 for every query whose difference may be chance: what is left of the figure without luck."""
        found = [0.0 if query.scattered else query.faster for query in self.timed if query.faster is not None]
        return median(found) if found else None

    @property
    def total_ms(self) -> tuple[float, float]:
        pairs = [(q.before.median_ms, q.after.median_ms) for q in self.timed if q.after and q.faster is not None]
        return sum(b or 0 for b, _ in pairs), sum(a or 0 for _, a in pairs)

    @property
    def total_faster(self) -> float | None:
        before, after = self.total_ms
        return 1 - after / before if before else None


def compare_queries(before: Measurement, after: Measurement | None) -> Speed:
    """Each query of the first measurement beside itself in the second."""
    found: Mapping[tuple[str, str], MeasuredQuery] = (
        {} if after is None else {(query.name, query.statement): query for query in after.queries}
    )
    return Speed(
        queries=tuple(
            ComparedQuery(before=query, after=found.get((query.name, query.statement))) for query in before.queries
        )
    )


def plan_line(plan: Mapping[str, Any] | None) -> str:
    """How a plan reads its tables: `Index Scan of booking by booking_pkey, Seq Scan of users`."""
    if plan is None:
        return ""
    by_kind: dict[str, dict[str, None]] = {}
    for kind, what in _scans(plan):
        by_kind.setdefault(kind, {})[what] = None
    lines = [f"{kind} {_some(list(found))}" for kind, found in by_kind.items()]
    return ", ".join(lines) or str(plan.get("Node Type", ""))


def _some(names: Sequence[str]) -> str:
    """Partitions are read alike: the first ones stand for all."""
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _scans(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kind = str(plan.get("Node Type", ""))
    relation, index = plan.get("Relation Name"), plan.get("Index Name")
    if relation is not None:
        yield f"{kind} of", relation + (f" by {index}" if index else "")
    elif index is not None:
        yield f"{kind} by", index
    children: Sequence[Mapping[str, Any]] = plan.get("Plans", ())
    for child in children:
        yield from _scans(child)


def _cost(plan: Mapping[str, Any] | None) -> float | None:
    return None if plan is None else plan.get("Total Cost")
