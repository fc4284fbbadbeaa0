"""How a delivery ends for Celery: its states say what became of the job, and Celery does nothing about it.

| outcome | the task | Celery's state |
|---|---|---|
| done | returns | SUCCESS |
| again, split, lost | raises Retry, without `Task.retry`, which alone would send a message | RETRY |
| failed | raises JobFailed | FAILURE |
| nothing | raises Ignore | IGNORED |

Exceptions travel to the worker's main process and to every monitor, so they carry the one line that says what became
of the delivery: no values of rows, no message of a driver, no cause. They must be raised outside of any `except`.
https://docs.celeryq.dev/en/stable/userguide/tasks.html#semipredicates
"""

from __future__ import annotations

from celery.exceptions import Ignore, Retry

from workers.outcome import Outcome


class JobFailed(Exception):
    """The job needs the operator."""


class JobWaits(Exception):
    """The job, or what it was split into, waits for another attempt, which has a message of its own."""


def end_delivery(outcome: Outcome, words: str) -> str:
    """The line that monitors show. Raises what makes Celery show it in the state that is true."""
    line = f"{outcome}: {words}" if words else str(outcome)
    if outcome is Outcome.DONE:
        return line
    if outcome is Outcome.FAILED:
        raise JobFailed(line)
    if outcome is Outcome.NOTHING:
        raise Ignore(line)
    raise Retry(line, exc=JobWaits(line))
