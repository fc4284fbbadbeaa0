"""Traces through OpenTelemetry's SDK. Imported only by `tracing_from`, because the extra may be missing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from monitoring.tracing.tracing import Note
from replank.values.states import RunState
from sql.ledger.jobs.claims import Job
from sql.ledger.runs import gates, history, runs
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection
from sql.session.database_identity import database_identity

NANOSECONDS = 1_000_000_000
BAD = ("failed", "lost")


class ChosenIds(IdGenerator):
    """Random ids, but for the next span where one was chosen."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.next_trace: int | None = None
        self.next_span: int | None = None

    def generate_trace_id(self) -> int:
        chosen, self.next_trace = self.next_trace, None
        return chosen or self._random.generate_trace_id()

    def generate_span_id(self) -> int:
        chosen, self.next_span = self.next_span, None
        return chosen or self._random.generate_span_id()


class OpenTelemetryTracing:
    """One process's spans. Not for several threads: each process has one that works."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._ids = ChosenIds()
        resource = Resource.create({"service.name": "replank"})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("replank")
        self._origins: dict[int, str] = {}

    @contextmanager
    def job(self, connection: Connection, job: Job) -> Iterator[Note]:
        origin = self._origin(connection, job.run_id)
        attributes: dict[str, str | int] = {
            "replank.run": job.run_id,
            "replank.job": job.job_id,
            "replank.step": job.step,
            "replank.kind": str(job.kind),
            "replank.attempt": job.attempt,
            "replank.chunk": str(job.chunk or ""),
        }
        if job.cache_no is None:
            attributes["replank.table_no"] = job.table_no
        span = self._tracer.start_span(
            f"job {job.kind}",
            context=_inside(origin, f"step {job.step}"),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
        )

        def note(outcome: str) -> None:
            span.set_attribute("replank.outcome", outcome)
            if outcome in BAD:
                span.set_status(Status(StatusCode.ERROR, outcome))

        try:
            yield note
        except BaseException as error:  # A worker that is stopped raises SystemExit: its span says so.
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            span.end()

    def run_ended(self, connection: Connection, run_id: int) -> None:
        run = runs.read_run(connection, run_id)
        origin = self._origin(connection, run_id)
        now = gates.server_now(connection)
        for step in history.read_steps(connection, run_id):
            if step.started_at is not None:
                self._said(origin, f"step {step.name}", step.started_at, step.finished_at or now, parent="run")
        self._said(origin, "run", run.created_at, run.finished_at or now, parent=None, run=run)

    def close(self) -> None:
        self._provider.shutdown()

    def _said(
        self, origin: str, name: str, began: datetime, ended: datetime, *, parent: str | None, run: Run | None = None
    ) -> None:
        """A span that is over, under the id that its children know it by."""
        self._ids.next_trace, self._ids.next_span = _trace_id(origin), _span_id(origin, name)
        context = Context() if parent is None else _inside(origin, parent)
        span = self._tracer.start_span(name, context=context, start_time=_ns(began))
        if run is not None:
            span.set_attributes(
                {"replank.run": run.run_id, "replank.plan": run.plan_name, "replank.state": str(run.state)}
            )
            if run.state is RunState.NEEDS_OPERATOR:
                # Its reason may quote values of the application's.
                span.set_status(Status(StatusCode.ERROR, str(run.state)))
        span.end(end_time=_ns(ended))

    def _origin(self, connection: Connection, run_id: int) -> str:
        """What tells this run from all others, also from one of the same number after a rollback."""
        if run_id not in self._origins:
            run = runs.read_run(connection, run_id)
            self._origins[run_id] = f"{database_identity(connection)} {run_id} {run.created_at.timestamp()}"
        return self._origins[run_id]


def exporting() -> OpenTelemetryTracing:
    """Sends to where OTEL_EXPORTER_OTLP_ENDPOINT says, in the background; what cannot be sent is dropped."""
    return OpenTelemetryTracing(BatchSpanProcessor(OTLPSpanExporter()))


def _inside(origin: str, name: str) -> Context:
    """A context whose span is one that another process may have begun."""
    parent = SpanContext(
        trace_id=_trace_id(origin),
        span_id=_span_id(origin, name),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


def _trace_id(origin: str) -> int:
    return int.from_bytes(hashlib.sha256(f"trace {origin}".encode()).digest()[:16], "big")


def _span_id(origin: str, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"span {name} of {origin}".encode()).digest()[:8], "big")


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * NANOSECONDS)
