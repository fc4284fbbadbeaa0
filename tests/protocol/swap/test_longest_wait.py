"""How long the application waited for a swap is said alike by the run's events, `status` and the report."""

import re
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest
from rich.console import Console
from support.runs.harness import Rebuild, table

from monitoring.report.pictures import attempts_words
from monitoring.status.read_status import read_status
from monitoring.terminal.screen import render
from producer.stages.cutover import CuttingOver
from sql.ledger.runs.events import read_events

pytestmark = pytest.mark.protocol

WORDS = re.compile(r"longest wait of the application [0-9.]+ ms")


def test_events_status_and_report_agree(
    app: psycopg.Connection, begin: Callable[..., Rebuild], monkeypatch: pytest.MonkeyPatch
) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    app.execute("INSERT INTO t SELECT gen_random_uuid() FROM generate_series(1, 50)")
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    swap = CuttingOver._swap
    # An attempt before has cost somebody more than the one that succeeds
    app.execute("UPDATE replank.conversion_set SET longest_wait_ms = 123.45, attempts = 1")

    def shorter(self, *given):  # type: ignore[no-untyped-def]
        return replace(swap(self, *given), application_wait_ms=1.5)

    monkeypatch.setattr(CuttingOver, "_swap", shorter)
    rebuild.swap()
    (one,) = rebuild.sets
    events = read_events(rebuild.connection, rebuild.run_id)
    (swapped,) = [event.message for event in events if event.message.startswith("swapped")]
    shown = Console(width=200, record=True)
    shown.print(render(read_status(rebuild.connection)))
    said = [WORDS.search(text) for text in (swapped, shown.export_text(), attempts_words(one))]
    assert [found and found.group(0) for found in said] == ["longest wait of the application 123.5 ms"] * 3
