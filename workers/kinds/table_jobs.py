"""The work of each kind of job: the SQL it needs, and the transaction it needs it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.sql import SQL, Identifier

from replank.errors import LeaseLost, NeedsOperator, RewrittenMeanwhile, TableRewritten, TryAgain
from replank.values.chunk import Axis
from replank.values.states import JobKind
from replank.values.table_spec import TableSpec
from replank.wording import counted
from sql.drain.drain import Drained, drain
from sql.drain.verification import difference_examples, log_differences, sum_chunk
from sql.ledger.jobs import claims, job_reports
from sql.ledger.jobs.claims import Job
from sql.ledger.tables import quarantines, tables
from sql.ledger.tables.tables import RunTable
from sql.next_table.indexes import build_concurrently, build_index
from sql.rows.change_log import log_table
from sql.rows.copy import copy_chunk, pin_file
from sql.rows.fill import backfill_chunk
from sql.session.connection import Connection, apply_settings, isolated
from sql.session.one_snapshot import refuse_rewritten
from sql.session.statements import execute
from sql.session.table_names import live_table, next_table
from sql.values.conversion import ComparedBy


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a job reports: rows written or read, and what its barrier needs to know."""

    rows: int
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one job may take. An index or a validation of a large table may last for hours."""

    statement_timeout_ms: int
    lock_timeout_ms: int
    index_memory_mb: int
    trusting: bool = False
    """Whether functions of other roles may be executed."""


Work = Callable[[Connection, Job, RunTable, Limits], Done]

UNBOUNDED_KINDS = frozenset(
    {JobKind.INDEX, JobKind.VACUUM, JobKind.VALIDATE, JobKind.DRAIN, JobKind.REPAIR, JobKind.CACHE}
)
"""No statement_timeout: these are as long as their table; the lease follows their backend's life."""


def perform(connection: Connection, job: Job, table: RunTable, limits: Limits) -> Done:
    """Do the job and write "done", in one transaction. Raises LeaseLost if the lease is not ours."""
    return WORK[job.kind](connection, job, table, limits)


@contextmanager
def fenced(
    connection: Connection,
    job: Job,
    limits: Limits,
    *,
    isolation: IsolationLevel | None = None,
    settling: Sequence[TableSpec] = (),
) -> Iterator[None]:
    """The job's own transaction: it begins by holding the lease, and its settings end with it.

    The quarantine of the tables in `settling` is held even before, so that the snapshot is taken after it.
    """
    with isolated(connection, isolation), connection.transaction():
        quarantines.hold(connection, settling, patient=True)
        if not claims.holds_lease(connection, job, _job_settings(job, limits)):
            raise LeaseLost(f"job {job.job_id}: attempt {job.attempt} no longer holds the lease")
        yield
        if isolation is IsolationLevel.REPEATABLE_READ:
            refuse_rewritten(connection)


def _job_settings(job: Job, limits: Limits) -> dict[str, str]:
    timeout = 0 if job.kind in UNBOUNDED_KINDS else limits.statement_timeout_ms
    return {
        "statement_timeout": f"{timeout}ms",
        "lock_timeout": f"{limits.lock_timeout_ms}ms",
        "max_parallel_workers_per_gather": "0",
        "maintenance_work_mem": f"{limits.index_memory_mb}MB",
    }


def _finish(connection: Connection, job: Job, done: Done) -> Done:
    if not claims.finish(connection, job, rows_done=done.rows, result=done.result):
        raise LeaseLost(f"job {job.job_id}: attempt {job.attempt} was overtaken")
    return done


def _copy(connection: Connection, job: Job, table: RunTable, limits: Limits) -> Done:
    if job.chunk is None:
        raise NeedsOperator(f"job {job.job_id} has no chunk")
    with fenced(connection, job, limits):
        if job.chunk.axis is Axis.HEAP:
            pin_file(connection, table.spec, table.filenode)
        return _finish(connection, job, Done(rows=copy_chunk(connection, table.spec, job.chunk)))


def _drain(connection: Connection, job: Job, table: RunTable, limits: Limits) -> Done:
    together = tables.resolved_together(connection, table)
    with fenced(connection, job, limits, isolation=IsolationLevel.REPEATABLE_READ, settling=together):
        if job_reports.copying(connection, table.spec):
            raise TryAgain(f"{table.spec.full_name}: a copy job is in flight and could overwrite a drain")
        drained = drain_log(connection, job, table, together)
        return _finish(connection, job, Done(rows=drained.inserted, result={"keys": drained.keys}))


def drain_log(connection: Connection, job: Job, table: RunTable, together: Sequence[TableSpec]) -> Drained:
    """As the job says, in the caller's transaction. Raises NeedsOperator where drained rows differ afterwards."""
    drained = drain(
        connection,
        table.spec,
        compare=bool(job.detail["compare"]),
        by_index=bool(job.detail.get("by_index", True)),
        together=together,
    )
    if drained.mismatches:
        raise NeedsOperator(
            f"{table.spec.full_name}: {counted(drained.mismatches, 'row', 'differs')} after a drain; nothing is swapped"
        )
    return drained


def _backfill(connection: Connection, job: Job, table: RunTable, limits: Limits) -> Done:
    if job.chunk is None:
        raise NeedsOperator(f"job {job.job_id} has no chunk")
    with fenced(connection, job, limits):
        rows = backfill_chunk(connection, table.spec, job.chunk, quiet=bool(job.detail["quiet"]))
        return _finish(connection, job, Done(rows=rows))


def _index(connection: Connection, job: Job, table: RunTable, limits: Limits) -> Done:
    if table.spec.method == "backfill":
        return _index_concurrently(connection, job, limits)
    with fenced(connection, job, limits):
        execute(connection, [build_index(job.detail)])
        return _finish(connection, job, Done(rows=0))


def _index_concurrently(connection: Connection, job: Job, limits: Limits) -> Done:
    """CREATE INDEX CONCURRENTLY refuses a transaction block, and leaves an invalid index where it was ended."""
    # It waits for every transaction that is older than itself: that is no lock to give up on.
    settings = {"maintenance_work_mem": f"{limits.index_memory_mb}MB", "lock_timeout": "0", "statement_timeout": "0"}
    apply_settings(connection, settings)
    execute(connection, build_concurrently(connection, job.detail))
    with fenced(connection, job, limits):
        return _finish(connection, job, Done(rows=0))


def _vacuum(connection: Connection, job: Job, table: RunTable, limits: Limits) -> Done:
    """VACUUM refuses a transaction block; it is idempotent, so "done" may follow in its own."""
    apply_settings(connection, {"maintenance_work_mem": f"{limits.index_memory_mb}MB"})
    if table.spec.method == "backfill":
        connection.execute(SQL("VACUUM (ANALYZE) {}").format(live_table(table.spec)))
    else:
        connection.execute(SQL("VACUUM (ANALYZE) {}").format(next_table(table.spec)))
        connection.execute(SQL("VACUUM {}").format(log_table(table.spec)))
    with fenced(connection, job, limits):
        return _finish(connection, job, Done(rows=0))


def _verify(connection: Connection, job: Job, table: RunTable, limits: Limits) -> Done:
    """Sums at the barrier's snapshot. The lease is checked afterwards: the old snapshot cannot see it."""
    if job.chunk is None:
        raise NeedsOperator(f"job {job.job_id} has no chunk")
    try:
        with isolated(connection, IsolationLevel.REPEATABLE_READ), connection.transaction():
            if job.detail["snapshot"] is not None:
                connection.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(job.detail["snapshot"]))
            apply_settings(connection, _job_settings(job, limits), local=True)
            if job.detail.get("filenode"):
                pin_file(connection, table.spec, int(job.detail["filenode"]))
            compared_by = ComparedBy(job.detail["compared_by"])
            sums = sum_chunk(connection, table.spec, job.detail["side"], job.chunk, compared_by)
            other = None
            if job.detail["snapshot"] is None:
                # A small table: both sides in one job, at this transaction's own snapshot.
                other = sum_chunk(connection, table.spec, "next", job.chunk, compared_by)
            refuse_rewritten(connection)
    except RewrittenMeanwhile as error:
        # At this snapshot it can only be compared wrongly: the barrier takes another one.
        raise TableRewritten(str(error)) from None
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.UndefinedObject) as error:
        return _snapshot_lost(connection, job, limits, error)
    result: dict[str, Any] = {job.detail["side"]: sums.to_json()}
    if other is not None:
        result["next"] = other.to_json()
    with fenced(connection, job, limits):
        return _finish(connection, job, Done(rows=sums.rows, result=result))


def _snapshot_lost(connection: Connection, job: Job, limits: Limits, error: psycopg.Error) -> Done:
    """The session that kept the snapshot has ended: say so, and the barrier compares again."""
    with fenced(connection, job, limits):
        lost = {"snapshot_lost": error.diag.message_primary or "?"}
        return _finish(connection, job, Done(rows=0, result=lost))


def _repair(connection: Connection, job: Job, table: RunTable, limits: Limits) -> Done:
    with fenced(connection, job, limits, isolation=IsolationLevel.REPEATABLE_READ):
        differing = log_differences(connection, table.spec)
        examples = difference_examples(connection, table.spec)
        return _finish(connection, job, Done(rows=differing, result={"differing": differing, "examples": examples}))


def _validate(connection: Connection, job: Job, _table: RunTable, limits: Limits) -> Done:
    with fenced(connection, job, limits):
        connection.execute(
            SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
                Identifier(job.detail["schema"], job.detail["table"]), Identifier(job.detail["name"])
            )
        )
        return _finish(connection, job, Done(rows=0))


WORK: Mapping[JobKind, Work] = {
    JobKind.COPY: _copy,
    JobKind.DRAIN: _drain,
    JobKind.INDEX: _index,
    JobKind.VACUUM: _vacuum,
    JobKind.VERIFY: _verify,
    JobKind.REPAIR: _repair,
    JobKind.VALIDATE: _validate,
    JobKind.BACKFILL: _backfill,
}
