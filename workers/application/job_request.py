"""What a worker's main process tells Celery's monitors of a delivery, and that it acknowledges it, whatever happened.

| outcome | Celery's event | Celery's state |
|---|---|---|
| done | task-succeeded | SUCCESS |
| again, split, lost | task-retried | RETRY |
| failed | task-failed | FAILURE |
| nothing | task-ignored | IGNORED |

States are what monitors make of events; there is no result backend. Celery's own retries, rejections and redeliveries
are not used: the ledger alone sends again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog
from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import WorkerLostError
from celery.worker.request import Request
from celery.worker.state import task_ready

from workers.application.report import Report
from workers.execution.outcome import Outcome

log = structlog.get_logger()

SUCCEEDED = "task-succeeded"
RETRIED = "task-retried"
FAILED = "task-failed"
CANCELLED = "task-cancelled"
IGNORED = "task-ignored"
"""No event of Celery's own, which leaves what it ignores in the state STARTED: monitors make a state of its name."""

EVENTS: Mapping[Outcome, str] = {
    Outcome.DONE: SUCCEEDED,
    Outcome.AGAIN: RETRIED,
    Outcome.SPLIT: RETRIED,
    Outcome.LOST: RETRIED,
    Outcome.FAILED: FAILED,
    Outcome.NOTHING: IGNORED,
}
EXCEPTIONS: Mapping[str, str] = {RETRIED: "JobWaits", FAILED: "JobFailed"}
"""What monitors show as the exception: a name and the report's line, and no traceback. Those of bugs are in the log."""


# Celery has no types: what is called or extended here is untyped.
class JobRequest(Request):  # type: ignore[misc]
    """One delivery, in the worker's main process."""

    def send_event(self, type: str, **fields: Any) -> None:
        if type == SUCCEEDED:
            # The process has ended its work and reported; Celery calls that a success.
            self._send_outcome(Report.read(fields["result"]), runtime=fields["runtime"])
        elif type == CANCELLED:
            # By a worker that is stopped, and whose time for present jobs is over.
            self._send_lost("its worker was stopped")
        else:
            # A traceback may quote what a row held.
            fields.pop("traceback", None)
            super().send_event(type, **fields)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """The process was lost: Celery would call that a failure, though the job is tried again."""
        error = _original_error(exc_info)
        ours = not (self._already_cancelled or self._already_revoked)
        if not (isinstance(error, (WorkerLostError, SystemExit, KeyboardInterrupt)) and ours):
            super().on_failure(exc_info, send_failed_event, return_ok)
            return
        task_ready(self)
        self.acknowledge()
        log.warning("a worker process was lost during its job", message=self.humaninfo(), reason=str(error))
        self._send_lost(f"the process was lost ({_exit_reason(error)})")

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """At the end of a worker's patience. Celery would leave the message to be delivered again."""
        super().cancel(pool, signal, emit_retry)
        self.acknowledge()

    def _send_lost(self, words: str) -> None:
        took = 0.0 if self.time_start is None else time.time() - self.time_start
        self._send_outcome(Report(outcome=Outcome.LOST, words=f"{words}; the ledger sends the job again"), runtime=took)

    def _send_outcome(self, report: Report, *, runtime: float) -> None:
        event = EVENTS[report.outcome]
        fields = {"result": report.line, "runtime": runtime}
        if event in EXCEPTIONS:
            fields["exception"] = f"{EXCEPTIONS[event]}({report.line!r})"
        super().send_event(event, **fields)


def _original_error(exc_info: Any) -> BaseException:
    """The exception itself, as it left the process at work."""
    error = exc_info.exception
    return error.exc if isinstance(error, ExceptionWithTraceback) else error  # type: ignore[no-any-return]


def _exit_reason(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"exit code {error.code}"
    return str(error).removeprefix("Worker exited prematurely: ").partition(" Job:")[0].rstrip(".")
