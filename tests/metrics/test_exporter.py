"""The exporter against plain SQL on the same ledger, in every state of a run and without one."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import psycopg
import pytest
from support.runs.harness import Rebuild

from metrics.scraping import Scrape, exporter, scrape
from monitoring.status.read_status import read_status
from producer.waiting.leader import try_to_lead
from replank.values.states import TableState
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

Begin = Callable[[], Rebuild]


def one(app: psycopg.Connection, statement: str) -> float:
    found = app.execute(statement).fetchone()
    assert found is not None
    return float(found[0])


def seconds_of(address: str) -> tuple[float, Scrape]:
    began = time.monotonic()
    found = scrape(address)
    return time.monotonic() - began, found


def test_without_a_run_with_one_and_with_the_database_gone(begin: Begin, database: str) -> None:
    with exporter(database) as address:
        before = scrape(address)
        assert (before.value("replank_up"), before.value("replank_run_exists")) == (1, 0)
        begin()
        assert scrape(address).value("replank_run_exists") == 1
    with exporter("postgresql://nobody@127.0.0.1:1/none") as address:
        gone = scrape(address)
    assert gone.value("replank_up") == 0
    assert gone.names == {"replank_up", "replank_scrape_duration_seconds"}


def test_a_lost_session_is_opened_anew(begin: Begin, database: str, app: psycopg.Connection) -> None:
    begin()
    with exporter(database) as address:
        assert scrape(address).value("replank_up") == 1
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s"
        assert app.execute(ended, ["replank exporter"]).fetchone() == (1,)
        assert [scrape(address).value("replank_up"), scrape(address).value("replank_up")][-1] == 1


def test_a_server_that_never_answers_costs_a_scrape_its_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with exporter(f"postgresql://x@127.0.0.1:{port}/x", deadline_s=1.0) as address:
            took, found = seconds_of(address)
    assert found.value("replank_up") == 0
    assert took < 3


def test_a_ledger_that_somebody_locks_is_no_half_answer(begin: Begin, database: str) -> None:
    begin()
    with exporter(database) as address, psycopg.connect(database) as locker:
        locker.execute("LOCK replank.job IN ACCESS EXCLUSIVE MODE")
        locked = scrape(address)
        assert (locked.value("replank_up"), "replank_jobs" in locked.names) == (0, False)
        locker.rollback()
        assert scrape(address).value("replank_up") == 1


def test_figures_are_those_of_the_ledger(begin: Begin, database: str, app: psycopg.Connection) -> None:
    """Under way, at the barrier, and after the end: each against SQL that shares nothing with the product."""
    rebuild = begin()
    with exporter(database) as address:
        rebuild.until(TableState.CATCHING_UP)
        app.execute("UPDATE orders SET note = 'changed' WHERE number <= 7")
        found = scrape(address)
        _agrees(found, app)
        log = rebuild.log_length("orders")
        assert found.value("replank_change_log_rows", table="public.orders") == log > 0
        assert found.value("replank_change_log_bytes", table="public.orders") >= 8192
        assert found.value("replank_next_table_bytes", table="public.orders") == one(
            app, "SELECT pg_total_relation_size('replank_next.orders')"
        )
        assert found.value("replank_run_state", state="running") == 1
        (of_set,) = found.labels_of("replank_cutover_done")
        assert found.value("replank_cutover_done", **of_set) == 0
        rebuild.finish()
        done = scrape(address)
    _agrees(done, app)
    assert done.value("replank_run_state", state="done") == 1
    assert done.value("replank_rows_total", table="public.orders", kind="copy") == 300
    (labels,) = done.labels_of("replank_cutover_lock_hold_seconds")
    held = one(app, "SELECT lock_hold_ms / 1000 FROM replank.conversion_set")
    assert done.value("replank_cutover_lock_hold_seconds", **labels) == pytest.approx(held)
    assert "replank_next_table_bytes" not in done.names


def _agrees(found: Scrape, app: psycopg.Connection) -> None:
    counted = app.execute("SELECT kind, state, count(*) FROM replank.job GROUP BY 1, 2").fetchall()
    shown = {
        (labels["kind"], labels["state"], found.value("replank_jobs", **labels))
        for labels in found.labels_of("replank_jobs")
        if found.value("replank_jobs", **labels)
    }
    assert shown == {(kind, state, float(n)) for kind, state, n in counted}
    times = app.execute(
        "SELECT kind, count(*), extract(epoch FROM sum(finished_at - started_at)),"
        " count(*) FILTER (WHERE finished_at - started_at < interval '0.1 s')"
        " FROM replank.job WHERE state = 'done' GROUP BY 1"
    ).fetchall()
    for kind, count, total, quick in times:
        assert found.value("replank_job_duration_seconds_count", kind=kind) == count
        assert found.value("replank_job_duration_seconds_bucket", kind=kind, le="+Inf") == count
        assert found.value("replank_job_duration_seconds_bucket", kind=kind, le="0.1") == quick
        assert found.value("replank_job_duration_seconds_sum", kind=kind) == pytest.approx(float(total))


def test_retries_and_waiting_jobs(begin: Begin, database: str, app: psycopg.Connection) -> None:
    rebuild = begin()
    rebuild.until(TableState.COPYING)
    app.execute("UPDATE replank.job SET attempt = 3 WHERE job_id = (SELECT min(job_id) FROM replank.job)")
    app.execute("UPDATE replank.job SET sent_at = now() WHERE job_id = (SELECT max(job_id) FROM replank.job)")
    with exporter(database) as address:
        found = scrape(address)
    waiting = one(app, "SELECT count(*) FROM replank.job WHERE state = 'waiting'")
    assert found.value("replank_job_retries_total", kind="copy") == 2
    assert found.value("replank_queue_jobs", queue="replank.copy") == waiting > 0
    assert found.value("replank_sent_jobs") == 1


def test_whether_anybody_drives_the_run(begin: Begin, database: str) -> None:
    """Also in `status`: a run without a coordinator looks like one that works otherwise."""
    begin()
    with exporter(database) as address:
        assert scrape(address).value("replank_coordinator_alive") == 0
        with connect(database, name="status") as looking, connect(database, name="coordinator") as coordinator:
            assert read_status(looking).to_json()["coordinator"]["alive"] is False
            assert try_to_lead(coordinator)
            assert scrape(address).value("replank_coordinator_alive") == 1
            said = read_status(looking).to_json()["coordinator"]
            assert (said["alive"], said["name"]) == (True, "replank coordinator")
        assert scrape(address).value("replank_coordinator_alive") == 0


def test_another_databases_coordinator_is_not_ours(begin: Begin, database: str) -> None:
    begin()
    elsewhere = database.rsplit("/", 1)[0] + "/postgres"
    with exporter(database) as address, connect(elsewhere, name="coordinator") as other:
        assert try_to_lead(other)
        assert scrape(address).value("replank_coordinator_alive") == 0


def test_signals_against_their_limits(begin: Begin, database: str, app: psycopg.Connection) -> None:
    begin()
    app.execute("""UPDATE replank.run SET plan = jsonb_set(plan, '{governor,waiting_locks}', '1')""")
    app.execute("""UPDATE replank.run SET plan = jsonb_set(plan, '{governor,probe}', '"SELECT 1/0"')""")
    with exporter(database) as address:
        found = scrape(address)
    assert found.value("replank_signal_limit", signal="waiting_locks") == 1
    assert found.value("replank_signal_value", signal="waiting_locks") == 0
    assert found.value("replank_signal_readable", signal="free_disk") == 1
    assert found.value("replank_signal_limit", signal="free_disk") == 1024 * 2**20
    assert found.value("replank_signal_value", signal="free_disk") > 2**20
    assert {labels["signal"] for labels in found.labels_of("replank_signal_strain_ratio")} >= {"xmin_age"}
    assert not any(labels.get("signal") == "probe" for labels in found.labels_of("replank_signal_readable"))


def test_names_keep_prometheus_conventions(begin: Begin, database: str) -> None:
    """Counters end in _total, everything has words, and no label tells single jobs or chunks apart."""
    rebuild = begin()
    rebuild.until(TableState.READY)
    with exporter(database) as address:
        found = scrape(address)
    assert all(name.startswith("replank_") for name in found.names)
    assert all(words and words.endswith(".") for words in found.helped.values())
    labels = {label for _, pairs in found.samples for label, _ in pairs}
    assert labels <= {
        "kind",
        "state",
        "table",
        "queue",
        "signal",
        "set",
        "bound",
        "cause",
        "run",
        "plan",
        "le",
        "weight",
        "outcome",
    }
    for unit in ("_ms", "_mb", "_percent"):
        assert not any(name.endswith(unit) for name in found.names)
