"""Sessions and workers that were lost in the middle of a job: how often, and what they have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from replank.values.states import JobState, sources
from sql.ledger.jobs.claims import Failure, Job
from sql.session.connection import Connection, row
from sql.session.named_queries import query

WORKER_LOST = "worker lost"
SERVER_PROCESS_LOST = "server process lost"
"""Classes of errors. The second: a crash, in which the server named no other session as the cause to this one."""


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Lost attempts of a job, and of it with all whose range it has a part of. `last` is the newest one's error."""

    own: int
    line: int
    last: Failure | None


def losses(connection: Connection, job_id: int) -> Losses:
    """Those since an operator's last retry."""
    named = {"job_id": job_id, "lost": [WORKER_LOST, SERVER_PROCESS_LOST]}
    found = row(connection, query("losses.of_job"), named)
    assert found is not None
    last = None
    if found["last_class"] is not None:
        last = Failure(error_class=found["last_class"], sqlstate="", message=found["last_message"])
    return Losses(own=found["own"], line=found["line"], last=last)


def crashes(connection: Connection, job_id: int) -> int:
    """How often the job was stopped because another session's process had crashed."""
    found = row(connection, query("losses.crashes"), {"job_id": job_id})
    return 0 if found is None else int(found["n"])


def server_crashed(connection: Connection, since: datetime) -> bool:
    """Whether a process of the server was killed since then, and all others were ended with it."""
    found = row(connection, query("losses.server_crashed"), {"since": since})
    return found is not None and bool(found["crashed"])


def put_back_lease(connection: Connection, job: Job, *, worker: str) -> None:
    """Where the server's crash took the lease back, the ledger does not know of the attempt: now it does."""
    named = {
        "job_id": job.job_id,
        "attempt": job.attempt,
        "worker": worker,
        "started_at": job.started_at,
        "sources": sources(JobState.LEASED),
    }
    row(connection, query("losses.put_back_lease"), named)
