"""Which rows make a drain fail: halves of the change log are drained, and all of it is taken back.

A drain takes its whole log or nothing, so one row that does not convert stops all others of its table. The operator
has to correct that row, and should learn of all such rows at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import psycopg
import structlog
from psycopg import IsolationLevel
from psycopg.sql import SQL, Literal

from replank.errors import NeedsOperator
from replank.values.table_spec import TableSpec
from sql.ledger.jobs.claims import Job
from sql.ledger.tables import tables
from sql.ledger.tables.tables import RunTable
from sql.rows.change_log import log_keys, log_table
from sql.session.connection import Connection, apply_settings, row, value
from sql.session.passing_errors import OF_ROWS
from workers.kinds.table_jobs import Limits, drain_log, fenced

log = structlog.get_logger()

MOST = 20
BUDGET_S = 15.0
OF_A_ROW = (*OF_ROWS, psycopg.errors.RaiseException, NeedsOperator)

Key = dict[str, str]


def find_failing_rows(connection: Connection, job: Job, limits: Limits) -> list[Key]:
    """Keys of the live rows that do not come through a drain of their own; at most `MOST`, for `BUDGET_S` seconds.

    Empty where no single row is to blame. Changes nothing. Raises LeaseLost if another attempt owns the job,
    psycopg.OperationalError if the connection is lost.
    """
    table = tables.read_table(connection, job.run_id, job.table_no)
    found: list[Key] = []
    deadline = time.monotonic() + BUDGET_S
    together = tables.resolved_together(connection, table)
    try:
        with fenced(connection, job, limits, isolation=IsolationLevel.REPEATABLE_READ, settling=together):
            apply_settings(connection, {"statement_timeout": f"{BUDGET_S:.0f}s"}, local=True)
            length = value(connection, SQL("SELECT count(*) FROM {}").format(log_table(table.spec)))
            for place in _places(connection, job, table, together, length, deadline):
                key = _key(connection, table.spec, place)
                if key not in found:
                    found.append(key)
                if len(found) == MOST:
                    break
            raise psycopg.Rollback
    except psycopg.Error as error:
        if connection.closed:
            raise
        log.info("the search for failing rows ended early", run=job.run_id, job=job.job_id, reason=str(error).strip())
    return found


def _places(
    connection: Connection, job: Job, table: RunTable, together: Sequence[TableSpec], length: int, deadline: float
) -> Iterator[int]:
    """Places in the log, in its order, whose entry alone does not come through."""
    ranges = [(0, length)] if length else []
    while ranges and time.monotonic() < deadline:
        first, end = ranges.pop()
        try:
            with connection.transaction():
                _keep_only(connection, table.spec, first, end)
                drain_log(connection, job, table, together)
                raise psycopg.Rollback
        except OF_A_ROW:
            if end - first == 1:
                yield first
            else:
                middle = (first + end) // 2
                ranges += [(middle, end), (first, middle)]


def _keep_only(connection: Connection, spec: TableSpec, first: int, end: int) -> None:
    """Of the log; the caller takes it back."""
    connection.execute(
        SQL(
            "DELETE FROM {log} WHERE ctid NOT IN (SELECT ctid FROM {log} ORDER BY ctid OFFSET {first} LIMIT {n})"
        ).format(log=log_table(spec), first=Literal(first), n=Literal(end - first))
    )


def _key(connection: Connection, spec: TableSpec, place: int) -> Key:
    names = SQL(", ").join(SQL("{}::text").format(key) for key in log_keys(spec))
    entry = SQL("SELECT ARRAY[{}] AS key FROM {} ORDER BY ctid OFFSET {} LIMIT 1")
    found = row(connection, entry.format(names, log_table(spec), Literal(place)))
    assert found is not None
    return dict(zip(spec.key, map(str, found["key"]), strict=True))
