"""A rollback that was asked for on the page: it is done in this process, as the command does it.

A server that ends in the middle of it leaves what the command would leave: `replank rollback`, or the page's button
again, continues.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg
import structlog

from producer.notifications.command_notifier import notifier_for
from producer.operator.operator import Operator
from producer.page.consequences import confirm
from producer.rollback.choice import run_to_undo
from producer.rollback.rollback import roll_back_through
from replank.errors import ReplankError, WrongUse
from replank.values.states import RunState
from sql.ledger.runs import rollbacks, runs
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection, connect
from sql.session.leader_lock import read_leader

log = structlog.get_logger()

BEGINS_WITHIN_S = 5.0
LOOK_S = 0.1


class PageRollback:
    """At most one at a time in this process."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._thread: threading.Thread | None = None
        self._refused: ReplankError | None = None

    def begin(self, run_id: int, *, by: Operator, typed: str) -> str:
        """Start, or continue one that has stopped; it continues after the answer. Raises ReplankError if refused."""
        with connect(self._url, name="page rollback") as connection:
            confirm(connection, typed)
            run = run_to_undo(connection, None)
            if run.run_id != run_id:
                raise WrongUse(f"Run {run.run_id} would be rolled back; the page showed run {run_id}. Reload the page.")
            if self._thread is not None and self._thread.is_alive():
                raise WrongUse(f"Run {run_id} is already being rolled back.")
            if run.state is RunState.ROLLING_BACK and read_leader(connection) is not None:
                raise WrongUse(f"Run {run_id} is already being rolled back by another session.")
            self._refused = None
            self._thread = threading.Thread(target=self._roll_back, args=(run_id, by), name="rollback", daemon=True)
            self._thread.start()
            return self._begun(connection, run_id, by)

    def _begun(self, connection: Connection, run_id: int, by: Operator) -> str:
        """As soon as the ledger says so, or why it was refused."""
        deadline = time.monotonic() + BEGINS_WITHIN_S
        while time.monotonic() < deadline:
            if self._refused is not None:
                raise self._refused
            if not ledger_exists(connection) or _of(connection, run_id, by):
                break
            time.sleep(LOOK_S)
        return f"Run {run_id}: the rollback has started. Its stages are shown here and written to the log."

    def _roll_back(self, run_id: int, by: Operator) -> None:
        say: Callable[[str], None] = lambda words: log.info("rollback", run=run_id, words=words)  # noqa: E731
        try:
            with notifier_for(self._url, run_id, say):
                roll_back_through(
                    lambda: connect(self._url, name="rollback"), say=say, run_id=run_id, by=by, keep_record=True
                )
        except ReplankError as error:
            self._refused = error
            log.warning("the rollback has stopped", run=run_id, reason=str(error))
        except psycopg.Error as error:
            reason = str(error).strip()
            self._refused = WrongUse(f"The rollback has stopped: {reason}. `replank rollback` continues it.")
            log.warning("the rollback has stopped", run=run_id, reason=reason)


def _of(connection: Connection, run_id: int, by: Operator) -> bool:
    """Whether the ledger has this operator's rollback, under way or at its end."""
    run, found = runs.read_run(connection, run_id), rollbacks.read(connection, run_id)
    return run.state in (RunState.ROLLING_BACK, RunState.ROLLED_BACK) and found is not None and found.by == by.name
