"""The breaker: a table whose jobs fail again and again is paused, and the rest of the run goes on without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from replank.plan.operation.breaker_plan import BreakerPlan
from replank.wording import counted
from sql.ledger.jobs import failed
from sql.ledger.runs import restraints, runs
from sql.ledger.runs.restraints import Place
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

log = structlog.get_logger()

BY = "breaker"
LONGEST_MESSAGE = 300


@dataclass(frozen=True, kw_only=True)
class Trip:
    """A table that stops, and why."""

    table_no: int
    name: str
    reason: str


def look(connection: Connection, run: Run) -> list[str]:
    """Pause every table that is over one of the plan's limits. Returns their names."""
    tripped = {trip.table_no: trip for trip in _trips(connection, run.run_id, run.plan.breaker)}
    for trip in tripped.values():
        with connection.transaction():
            place = Place(table_no=trip.table_no)
            restraints.put(connection, run.run_id, place, "pause", cause="breaker", by=BY, reason=trip.reason)
            runs.add_event(
                connection, run.run_id, actor="coordinator", kind="breaker", subject=trip.name, message=trip.reason
            )
        log.error("the breaker has paused a table", run=run.run_id, table=trip.name, reason=trip.reason)
    return [trip.name for trip in tripped.values()]


def _trips(connection: Connection, run_id: int, limits: BreakerPlan) -> Iterator[Trip]:
    share = limits.failed_percent / 100
    for found in failed.tables_over_share(connection, run_id, at_least=limits.at_least_jobs, share=share):
        words = (
            f"{found['failed']} of {counted(found['ended'], found['kind'] + ' job')} failed (limit "
            f"{limits.failed_percent} %)"
        )
        yield Trip(table_no=found["table_no"], name=found["name"], reason=words)
    for found in failed.tables_with_many_failed(connection, run_id, most=limits.failed_jobs):
        words = f"{found['failed']} of its jobs failed and need the operator (limit {limits.failed_jobs})"
        yield Trip(table_no=found["table_no"], name=found["name"], reason=words)
    for found in failed.tables_with_equal_errors(connection, run_id, in_a_row=limits.equal_errors):
        cause = f"{found['class']} {found['sqlstate']}".strip()
        message = found["message"][:LONGEST_MESSAGE]
        words = (
            f"{counted(found['errors'], 'attempt')} in a row failed with {cause} (limit "
            f"{limits.equal_errors}): {message}"
        )
        yield Trip(table_no=found["table_no"], name=found["name"], reason=words)
