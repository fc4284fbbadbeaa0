"""A bug in a worker: an exception that is neither the driver's nor Replank's own ends one job, and is seen.

The ledger has its type, message and last frame, the worker's log the traceback. Trying again would only repeat it.
"""

from __future__ import annotations

import traceback
from pathlib import Path

from psycopg.pq import TransactionStatus

from replank.values.states import JobState
from sql.ledger.jobs import claims
from sql.ledger.jobs.claims import Failure
from sql.session.connection import Connection
from workers.execution.outcome import OF_STATE, Outcome

INTERNAL_ERROR = "internal error"
"""The class of error."""

LONGEST_MESSAGE = 2_000
HOME = Path(__file__).resolve().parents[2]
"""Where Replank's packages lie: frames are named from there."""


def failure_of_bug(error: BaseException) -> Failure:
    """For the ledger, which may hold values of rows."""
    words = f"{type(error).__name__}: {error} ({place_of(error)})"
    return Failure(error_class=INTERNAL_ERROR, sqlstate="", message=words[:LONGEST_MESSAGE])


def words_of_bug(error: BaseException) -> str:
    """For monitors: type and place only."""
    return f"{INTERNAL_ERROR}, {type(error).__name__} in {place_of(error)}"


def place_of(error: BaseException) -> str:
    """The last frame: file, line, function."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    last = frames[-1]
    file = Path(last.filename)
    shown = file.relative_to(HOME) if file.is_relative_to(HOME) else file.name
    return f"{shown}:{last.lineno}, {last.name}"


def fail_after(connection: Connection, error: BaseException, *, job_id: int, worker: str) -> Outcome:
    """Write the job as failed. Raises psycopg.OperationalError if the connection is lost."""
    return fail_leased(connection, failure_of_bug(error), job_id=job_id, worker=worker)


def fail_leased(connection: Connection, failure: Failure, *, job_id: int, worker: str) -> Outcome:
    """Write the job that this worker has leased as failed, where there is no `Job` of it."""
    found = claims.fail_leased(connection, job_id=job_id, worker=worker, failure=failure)
    if found is None:
        return Outcome.NOTHING
    return Outcome.NOTHING if found is JobState.LEASED else OF_STATE[found]


def is_usable(connection: Connection) -> bool:
    """Whether the session is between two transactions, as every job leaves it."""
    return not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE
