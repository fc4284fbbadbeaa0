"""Sessions and workers that were lost in the middle of a job: how often, and what they have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import CrashShutdown
from sqlalchemy import Integer, func, null, select, update

from replank.values.states import JobState, sources
from sql.ledger.jobs.claims import Failure, Job
from sql.ledger.schema.job_tables import JOB, JOB_ATTEMPT
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, among, given

WORKER_LOST = "worker lost"
SERVER_PROCESS_LOST = "server process lost"
"""Classes of errors. The second: a crash, in which the server named no other session as the cause to this one."""


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Lost attempts of a job, and of it with all whose range it has a part of."""

    own: int
    line: int
    last_class: str | None
    last_message: str | None

    @property
    def last(self) -> Failure | None:
        """The newest one's error."""
        if self.last_class is None:
            return None
        return Failure(error_class=self.last_class, sqlstate="", message=self.last_message or "")


_LOSSES = Query("losses.of_job", Losses)
_SERVER_CRASHED = Query("losses.server_crashed", bool)
_CRASHES = Query(
    select(func.count())
    .select_from(JOB_ATTEMPT)
    .where(JOB_ATTEMPT.c.job_id == given("job_id"), JOB_ATTEMPT.c.sqlstate == CrashShutdown.sqlstate),
    int,
)
_PUT_BACK_LEASE = Command(
    update(JOB)
    .values(
        state=JobState.LEASED,
        attempt=given("attempt"),
        worker=given("worker"),
        backend_pid=0,
        backend_start=null(),
        started_at=given("started_at"),
        lease_until=func.clock_timestamp(),
    )
    .where(
        JOB.c.job_id == given("job_id"),
        JOB.c.state == JobState.WAITING,
        among(JOB.c.state, "sources"),
        JOB.c.attempt == given("attempt", Integer) - 1,
    )
)


def losses(connection: Connection, job_id: int) -> Losses:
    """Those since an operator's last retry."""
    return _LOSSES.only(connection, job_id=job_id, lost=[WORKER_LOST, SERVER_PROCESS_LOST])


def crashes(connection: Connection, job_id: int) -> int:
    """How often the job was stopped because another session's process had crashed."""
    return _CRASHES.only(connection, job_id=job_id)


def server_crashed(connection: Connection, since: datetime) -> bool:
    """Whether a process of the server was killed since then, and all others were ended with it."""
    return _SERVER_CRASHED.only(connection, since=since)


def put_back_lease(connection: Connection, job: Job, *, worker: str) -> None:
    """Where the server's crash took the lease back, the ledger does not know of the attempt: now it does.

    No commit of a worker waits for the disk. The attempt counts all the same.
    """
    _PUT_BACK_LEASE(
        connection,
        job_id=job.job_id,
        attempt=job.attempt,
        worker=worker,
        started_at=job.started_at,
        sources=sources(JobState.LEASED),
    )
