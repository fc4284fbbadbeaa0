"""The governor in a whole run: it stops what would harm, says why, and goes on when it is over."""

import time

import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import differences, write_plan

pytestmark = pytest.mark.faults

OPTIONS = "[options]\nchunk_mb = 1\nmax_jobs_in_flight = 1\n[governor]\nslot_retained_mb = 1\n"


def window(ledger: LedgerView) -> tuple[object, ...]:
    found = ledger.rows("SELECT window_now, window_reason FROM replank.run")
    return found[0] if found else (None, "")


def done_jobs(ledger: LedgerView) -> int:
    return ledger.number("SELECT count(*) FROM replank.job WHERE state = 'done'")


def test_gotcha_22_a_slot_that_nobody_reads_stops_the_run_until_it_is_gone(site: Site, ledger: LedgerView) -> None:
    name = site.database_url.rsplit("/", 1)[1]
    write_plan(site.plan, database=name, chunk_mb=None, extra=OPTIONS)
    slot = f"idle_{name}"
    with psycopg.connect(site.database_url, autocommit=True) as app:
        app.execute("SELECT pg_create_physical_replication_slot(%s, true)", [slot])
        try:
            run = site.run(workers=2)
            wait_for("the window to close", lambda: window(ledger)[0] == 0 and slot in str(window(ledger)[1]))
            wait_for(
                "jobs that wait", lambda: ledger.number("SELECT count(*) FROM replank.job WHERE state = 'waiting'")
            )
            wait_for("jobs to end", lambda: not ledger.rows("SELECT FROM replank.job WHERE state = 'leased'"))
            before = done_jobs(ledger)
            time.sleep(3)  # longer than a message is waited for: nothing may slip through that was sent before
            assert done_jobs(ledger) == before
            # An operator may change the limit meanwhile; what a signal has closed stays closed
            assert site.call("throttle", "--max-window", "3").exit_code == 0
            wait_for("the new limit", lambda: ledger.number("SELECT window_max FROM replank.run") == 3)
            assert window(ledger)[0] == 0
            assert run.running
        finally:
            app.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    assert run.wait().exit_code == 0
    assert differences(site.database_url) == []
    reasons = [str(reason) for (reason,) in ledger.rows("SELECT reason FROM replank.window_change ORDER BY at")]
    assert any(f"closed: slot {slot} holds back" in reason for reason in reasons)
    assert any("raised step by step" in reason for reason in reasons)
    assert ledger.rows("SELECT message FROM replank.event WHERE kind = 'throttle'") == [
        ("at most 3 jobs in flight (through the command line)",)
    ]
