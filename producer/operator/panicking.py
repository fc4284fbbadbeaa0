"""`panic`: everything of Replank's stops within a second, nothing is left half done, and `resume` continues."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from producer.operator.operator import Operator
from producer.operator.run_for_action import note, refuse_idle
from replank.errors import NeedsOperator
from replank.wording import counted, verb
from sql.ledger.jobs import job_queue
from sql.ledger.runs import restraints, stopping
from sql.ledger.runs.restraints import Place
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

POLL_S = 0.02
HARD_AFTER_S = 0.4
"""A statement is cancelled first; a session that is between two statements of a transaction is ended after this."""

PATIENCE_S = 10.0


def panic(
    connection: Connection,
    run: Run,
    *,
    by: Operator,
    reason: str = "",
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Pause the run and end what it does now.

    1. The pause commits: from then on no worker's claim and no swap goes through.
    2. Sessions of leased jobs are ended, matched by process number and the moment they began; what the coordinator,
       a script, a finish or a rollback does is cancelled. Until nothing of it is left.
    3. The jobs wait again, at no cost of an attempt.

    Raises NeedsOperator if something is still there after `PATIENCE_S`; the run stays paused.
    """
    refuse_idle(connection, run)
    began = clock()
    with connection.transaction():
        since = restraints.put(connection, run.run_id, Place(), "pause", cause="panic", by=by.name, reason=reason)
    ended, taken = 0, 0
    while True:
        hard = clock() - began > HARD_AFTER_S
        ended += stopping.end_workers(connection, run.run_id)
        others = stopping.stop_others(connection, since, hard=hard)
        taken += len(job_queue.take_back_orphans(connection, run.run_id))
        if _is_quiet(connection, run, since, others):
            break
        if clock() - began > PATIENCE_S:
            raise NeedsOperator(
                f"Run {run.run_id} is paused, but some of its sessions are still active after {PATIENCE_S:.0f} s. "
                "See pg_stat_activity, application names that begin with `replank`."
            )
        sleep(POLL_S)
    seconds = clock() - began
    words = (
        f"{counted(taken, 'job', 'was')} stopped and {verb(taken, 'waits')} again; nothing of the run was "
        f"active after {seconds:.2f} s"
    )
    with connection.transaction():
        note(connection, run, by, "panic", message=f"{words}: {reason}" if reason else words)
    return f"Run {run.run_id}: everything is stopped. {words[0].upper()}{words[1:]}. `replank resume` continues it."


def _is_quiet(connection: Connection, run: Run, since: datetime, others: int) -> bool:
    return (
        others == 0 and stopping.still_claiming(connection, since) == 0 and stopping.leased(connection, run.run_id) == 0
    )
