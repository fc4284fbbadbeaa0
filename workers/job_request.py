"""What a worker's main process tells Celery's monitors of a delivery, and that it acknowledges it, whatever happened.

Celery's own request class leaves a delivery that it ignores in the state STARTED for ever, calls a job FAILURE whose
process was lost though it is tried again, gives that message back to the broker, and sends tracebacks along. Here the
ledger alone sends again, and every delivery has one end.
"""

from __future__ import annotations

import time
from typing import Any

import structlog
from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import WorkerLostError
from celery.exceptions import Ignore, Retry
from celery.worker.request import Request
from celery.worker.state import task_ready

from workers.delivery_states import JobFailed
from workers.outcome import Outcome

log = structlog.get_logger()

IGNORED = "task-ignored"
"""No event of Celery's own: monitors make a state of its name, and Celery has one that is called so."""

RETRIED = "task-retried"
FAILED = "task-failed"
CANCELLED = "task-cancelled"


# Celery has no types: what is called or extended here is untyped.
class JobRequest(Request):  # type: ignore[misc]
    """One delivery, in the worker's main process."""

    _line = ""
    """What became of it, where it has failed."""

    def send_event(self, type: str, **fields: Any) -> None:
        """As Celery's own, but without tracebacks, and with the time it took however it ended.

        A traceback is in the worker's log, where it is one of a bug; it may quote what a row held.
        """
        if type == CANCELLED:
            # By a worker that is stopped, and whose time for present jobs is over.
            self._lost("its worker was stopped")
            return
        if type in (RETRIED, FAILED, IGNORED):
            fields.pop("traceback", None)
            if self._line:
                fields.setdefault("result", self._line)
            if self.time_start is not None:
                fields.setdefault("runtime", time.time() - self.time_start)
        super().send_event(type, **fields)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        error = _bare(exc_info)
        ours = not (self._already_cancelled or self._already_revoked)
        if isinstance(error, Ignore):
            task_ready(self)
            self.acknowledge()
            self.send_event(IGNORED, result=str(error))
        elif isinstance(error, (WorkerLostError, SystemExit, KeyboardInterrupt)) and ours:
            task_ready(self)
            self.acknowledge()
            log.warning("a process was lost at its job", message=self.humaninfo(), reason=str(error))
            self._lost(f"the process was lost ({_how(error)})")
        else:
            if isinstance(error, JobFailed):
                self._line = str(error)
            super().on_failure(exc_info, send_failed_event, return_ok)

    def on_retry(self, exc_info: Any) -> None:
        self.acknowledge()
        error = _bare(exc_info)
        waits = error.exc if isinstance(error, Retry) else error
        self.send_event(RETRIED, exception=repr(waits), result=str(waits))

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """At the end of a worker's patience. Celery would leave the message to be delivered again."""
        super().cancel(pool, signal, emit_retry)
        self.acknowledge()

    def _lost(self, words: str) -> None:
        line = f"{Outcome.LOST}: {words}; the ledger sends the job again"
        self.send_event(RETRIED, exception=f"JobWaits({line!r})", result=line)


def _bare(exc_info: Any) -> BaseException:
    """The exception itself, as it left the process at work."""
    error = exc_info.exception
    return error.exc if isinstance(error, ExceptionWithTraceback) else error  # type: ignore[no-any-return]


def _how(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"exit code {error.code}"
    return str(error).removeprefix("Worker exited prematurely: ").partition(" Job:")[0].rstrip(".")
