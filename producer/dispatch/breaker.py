"""The breaker: a table whose jobs fail again and again is paused, and the rest of the run continues without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from replank.plan.operation.breaker_plan import BreakerPlan
from replank.wording import counted
from sql.ledger.jobs.failing_tables import tables_over_share, tables_with_equal_errors, tables_with_many_failed
from sql.ledger.runs import restraints
from sql.ledger.runs.events import add_event
from sql.ledger.runs.restraints import Place
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

log = structlog.get_logger()

BY = "breaker"
LONGEST_MESSAGE = 300


@dataclass(frozen=True, kw_only=True)
class ExceededLimit:
    """A table that stops, and why."""

    table_no: int
    name: str
    reason: str


def pause_failing_tables(connection: Connection, run: Run) -> list[str]:
    """Pause every table that is over one of the plan's limits. Returns their names."""
    over = {exceeded.table_no: exceeded for exceeded in _exceeded_limits(connection, run.run_id, run.plan.breaker)}
    for exceeded in over.values():
        with connection.transaction():
            place = Place(table_no=exceeded.table_no)
            restraints.put(connection, run.run_id, place, "pause", cause="breaker", by=BY, reason=exceeded.reason)
            add_event(
                connection,
                run.run_id,
                actor="coordinator",
                kind="breaker",
                subject=exceeded.name,
                message=exceeded.reason,
            )
        log.error("the breaker has paused a table", run=run.run_id, table=exceeded.name, reason=exceeded.reason)
    return [exceeded.name for exceeded in over.values()]


def _exceeded_limits(connection: Connection, run_id: int, limits: BreakerPlan) -> Iterator[ExceededLimit]:
    share = limits.failed_percent / 100
    for over in tables_over_share(connection, run_id, at_least=limits.at_least_jobs, share=share):
        words = f"{over.failed} of {counted(over.ended, f'{over.kind} job')} failed (limit {limits.failed_percent} %)"
        yield ExceededLimit(table_no=over.table_no, name=over.name, reason=words)
    for many in tables_with_many_failed(connection, run_id, most=limits.failed_jobs):
        words = f"{many.failed} of its jobs failed and need the operator (limit {limits.failed_jobs})"
        yield ExceededLimit(table_no=many.table_no, name=many.name, reason=words)
    for equal in tables_with_equal_errors(connection, run_id, in_a_row=limits.equal_errors):
        cause = f"{equal.error_class} {equal.sqlstate}".strip()
        message = equal.message[:LONGEST_MESSAGE]
        words = (
            f"{counted(equal.errors, 'attempt')} in a row failed with {cause} (limit {limits.equal_errors}): {message}"
        )
        yield ExceededLimit(table_no=equal.table_no, name=equal.name, reason=words)
