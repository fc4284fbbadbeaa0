"""The ladder's second rung: a chunk that failed is halved, so that all of its rows but the culprit get done."""

from __future__ import annotations

from enum import StrEnum

import psycopg
import structlog

from replank.errors import LeaseLost
from replank.values.states import JobState
from sql.drain.verification_sums import TOO_LARGE
from sql.ledger.jobs import claims
from sql.ledger.jobs.claims import Failure, Job
from sql.ledger.tables import tables
from sql.rows.split import halve
from sql.session.connection import Connection
from workers.kinds.table_jobs import Limits, fenced

log = structlog.get_logger()


class SplitResult(StrEnum):
    """What halving came to."""

    SPLIT = "split"
    ONE_ROW = "one row"
    EMPTY = "empty"
    MISSED = "missed"
    IN_CHUNKS = "in chunks"


def leave_to_chunks(connection: Connection, job: Job, failure: Failure, limits: Limits) -> SplitResult:
    """A verification in one piece was too much: the job ends with that word, and its barrier has it done in chunks."""
    with fenced(connection, job, limits):
        if not claims.finish(connection, job, rows_done=0, result={TOO_LARGE: failure.message}):
            raise LeaseLost(f"job {job.job_id}: attempt {job.attempt} was overtaken")
    log.info("verification is done in chunks instead", run=job.run_id, job=job.job_id, reason=failure.message)
    return SplitResult.IN_CHUNKS


def split(
    connection: Connection, job: Job, failure: Failure, limits: Limits
) -> tuple[SplitResult, dict[str, str] | None]:
    """Put the job's halves in its place, in one transaction that holds its lease.

    The key of the row where it has come down to one. Raises LeaseLost if another attempt owns the job,
    psycopg.OperationalError if the connection is lost.
    """
    assert job.chunk is not None
    try:
        with fenced(connection, job, limits):
            spec = tables.read_table(connection, job.run_id, job.table_no).spec
            halves = halve(connection, spec, job.chunk, job.detail.get("side", "live"))
            if not halves.chunks:
                key = None if halves.key is None else dict(zip(spec.key, halves.key, strict=True))
                return (SplitResult.ONE_ROW if halves.rows else SplitResult.EMPTY), key
            children = claims.split(
                connection,
                job_id=job.job_id,
                attempt=job.attempt,
                state=JobState.LEASED,
                failure=failure,
                halves=halves.chunks,
            )
        claims.wake_up(connection)
    except psycopg.Error as error:
        if connection.closed:
            raise
        # The table is locked, or even counting its rows takes too long: the whole chunk is tried again.
        log.info("a chunk could not be halved", run=job.run_id, job=job.job_id, reason=str(error).strip())
        return SplitResult.MISSED, None
    log.info("job split", run=job.run_id, job=job.job_id, halves=children, reason=failure.message)
    return SplitResult.SPLIT, None
