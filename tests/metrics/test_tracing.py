"""Traces: one for each run, whoever's process says it; nothing at all where nobody asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from support.runs.harness import Rebuild

from monitoring.tracing import tracing
from monitoring.tracing.opentelemetry import OpenTelemetryTracing
from monitoring.tracing.tracing import NoTracing, tracing_from
from replank.errors import WrongUse
from replank.values.states import TableState

pytestmark = pytest.mark.protocol

Begin = Callable[[], Rebuild]


def finished(rebuild: Rebuild, exporter: InMemorySpanExporter) -> None:
    """The run to its end: jobs are told by a worker's tracing, run and steps by a coordinator's own."""
    of_worker = OpenTelemetryTracing(SimpleSpanProcessor(exporter))
    rebuild.worker = replace(rebuild.worker, tracing=of_worker)
    rebuild.settle()
    OpenTelemetryTracing(SimpleSpanProcessor(exporter)).run_ended(rebuild.connection, rebuild.run_id)


def named(spans: tuple[ReadableSpan, ...], name: str) -> list[ReadableSpan]:
    return [span for span in spans if span.name == name]


def test_jobs_lie_in_their_steps_and_steps_in_their_run(begin: Begin, app: psycopg.Connection) -> None:
    exporter = InMemorySpanExporter()
    finished(begin(), exporter)
    spans = exporter.get_finished_spans()
    (run,) = named(spans, "run")
    steps = [span for span in spans if span.name.startswith("step ")]
    jobs = [span for span in spans if span.name.startswith("job ")]
    assert len({span.context.trace_id for span in spans if span.context}) == 1
    assert run.parent is None
    assert run.context is not None
    assert {span.parent.span_id for span in steps if span.parent} == {run.context.span_id}
    assert {span.parent.span_id for span in jobs if span.parent} <= {s.context.span_id for s in steps if s.context}
    counted = app.execute("SELECT count(*) FROM replank.job WHERE state = 'done'").fetchone()
    assert counted == (len(jobs),)
    assert {dict(span.attributes or {})["replank.outcome"] for span in jobs} == {"done"}
    ended = app.execute("SELECT extract(epoch FROM finished_at) FROM replank.run").fetchone()
    assert ended is not None
    assert run.end_time is not None
    assert abs(run.end_time / 1e9 - float(ended[0])) < 0.001


def test_a_job_that_fails_is_an_error_without_its_values(begin: Begin, app: psycopg.Connection) -> None:
    exporter = InMemorySpanExporter()
    rebuild = begin()
    rebuild.until(TableState.COPYING)
    app.execute("INSERT INTO customers VALUES ('secret value', 'bad')")
    finished(rebuild, exporter)
    failed = [span for span in exporter.get_finished_spans() if span.status.status_code is StatusCode.ERROR]
    assert {span.name for span in failed} >= {"job copy", "run"}
    assert all("secret value" not in span.to_json() for span in failed)


def test_two_runs_are_two_traces(begin: Begin) -> None:
    exporter = InMemorySpanExporter()
    rebuild = begin()
    of_coordinator = OpenTelemetryTracing(SimpleSpanProcessor(exporter))
    of_coordinator.run_ended(rebuild.connection, rebuild.run_id)
    rebuild.connection.execute("UPDATE replank.run SET created_at = created_at - interval '1 day'")
    OpenTelemetryTracing(SimpleSpanProcessor(exporter)).run_ended(rebuild.connection, rebuild.run_id)
    assert len({span.context.trace_id for span in named(exporter.get_finished_spans(), "run") if span.context}) == 2


def test_off_unless_asked_for_and_refused_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    assert isinstance(tracing_from({}), NoTracing)
    assert isinstance(tracing_from({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}), NoTracing)
    assert isinstance(tracing_from({**wanted, "OTEL_SDK_DISABLED": "true"}), NoTracing)
    asked = tracing_from(wanted)
    assert not isinstance(asked, NoTracing)
    asked.close()
    monkeypatch.setattr(tracing, "find_spec", lambda _: None)
    with pytest.raises(WrongUse, match=r"replank\[tracing\]"):
        tracing_from(wanted)


def test_the_product_works_where_the_extra_is_not_installed() -> None:
    script = (
        "import sys; sys.modules['opentelemetry'] = None;"
        "import workers.cli.worker, producer.coordinator.run, producer.cli.run, monitoring.cli.exporter;"
        "print([name for name in sys.modules if name.startswith('opentelemetry.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"
