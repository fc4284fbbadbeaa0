"""Traces of runs, steps and jobs: off, unless the environment names where to send them and the extra is there.

Messages carry ids only, so no context travels with them: a run's trace id and its steps' span ids are computed from
the database and the run, and every process finds the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import Protocol

from replank.errors import WrongUse
from replank.isolation import with_extra
from sql.ledger.jobs.claims import Job
from sql.session.connection import Connection

VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

Note = Callable[[str], None]
"""Says what became of the job."""


class Tracing(Protocol):
    """What the run's processes say of their work."""

    def job(self, connection: Connection, job: Job) -> AbstractContextManager[Note]:
        """Around one attempt at a job."""

    def run_ended(self, connection: Connection, run_id: int) -> None:
        """The run and its steps, with their times from the ledger."""

    def close(self) -> None:
        """Send what is left."""


class NoTracing:
    """Tracing is off: nothing is imported, nothing is computed."""

    def job(self, _connection: Connection, _job: Job) -> AbstractContextManager[Note]:
        return nullcontext(_nothing)

    def run_ended(self, _connection: Connection, _run_id: int) -> None:
        return

    def close(self) -> None:
        return


def _nothing(_outcome: str) -> None:
    return


def traces_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces. Raises WrongUse where they cannot be made."""
    if not any(environment.get(name) for name in VARIABLES) or environment.get("OTEL_SDK_DISABLED") == "true":
        return False
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise WrongUse(
            f"{' or '.join(VARIABLES)} asks for traces, whose libraries are not installed: {with_extra('tracing')}."
        )
    return True


def tracing_from(environment: Mapping[str, str]) -> Tracing:
    """For the process that calls it: one that was forked needs its own."""
    if not traces_wanted(environment):
        return NoTracing()
    from monitoring.tracing.opentelemetry import exporting

    return exporting()
