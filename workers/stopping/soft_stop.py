"""How long a stopped worker waits for its present jobs: until they have ended, and not always as long as it may.

Celery's soft shutdown sleeps its whole time, in the thread that would hear of jobs that end. The ledger knows.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

import psycopg
import structlog

from replank import names
from replank.errors import ReplankError
from replank.settings import Settings
from sql.ledger.jobs import leased
from sql.session.connection import connect

log = structlog.get_logger()

POLL_S = 0.2


def worker_name(pid: int) -> str:
    """What a child process calls itself in the ledger."""
    return names.worker_name(socket.gethostname(), pid)


def wait_for_jobs(settings: Settings, children: Callable[[], Sequence[int]]) -> None:
    """Until no job is leased to these processes, at most `soft_shutdown_s`."""
    deadline = time.monotonic() + settings.soft_shutdown_s
    workers = [worker_name(pid) for pid in children()]
    log.info("stopping: present jobs may end", at_most_s=settings.soft_shutdown_s)
    try:
        with connect(settings.database(), name="worker stop") as connection:
            while time.monotonic() < deadline and leased.leased_by(connection, workers):
                time.sleep(POLL_S)
    except (psycopg.Error, ReplankError) as error:
        log.warning("the ledger does not answer", reason=str(error).strip())
        time.sleep(max(deadline - time.monotonic(), 0.0))
