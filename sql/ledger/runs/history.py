"""What a run did and when, from the ledger: steps, rows over time, the governor's decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sql.session.connection import Connection, rows, value
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """A step and its phase; a time is None where that has not come."""

    name: str
    phase: int
    phase_name: str
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class WindowChange:
    """From `at` on, `now` of `maximum` jobs might be in flight."""

    at: datetime
    now: int
    maximum: int
    reason: str


def read_steps(connection: Connection, run_id: int) -> list[StepTimes]:
    return [
        StepTimes(**{name: found for name, found in r.items() if name != "measured"})
        for r in rows(connection, query("history.steps"), {"run_id": run_id})
    ]


def rows_over_time(
    connection: Connection, run_id: int, *, since: datetime, span_s: float
) -> list[tuple[str, int, int]]:
    """Kind of job, number of the span since `since`, rows of the jobs that ended in it. Empty spans are left out."""
    named = {"run_id": run_id, "since": since, "span_s": span_s}
    return [(r["kind"], r["span"], r["rows"]) for r in rows(connection, query("history.rows_over_time"), named)]


def work_done(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """`kind`, `state`, `jobs`, `rows` and `retries` of all jobs."""
    return rows(connection, query("history.work"), {"run_id": run_id})


def window_changes(connection: Connection, run_id: int) -> list[WindowChange]:
    """The governor's decisions; none where the ledger does not keep them."""
    if not value(connection, query("history.keeps_window")):
        return []
    return [WindowChange(**r) for r in rows(connection, query("history.window"), {"run_id": run_id})]
