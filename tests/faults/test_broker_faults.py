"""A flushed, killed or frozen broker only costs time: the ledger knows what has to be sent again."""

import time

import pytest
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import LONG, wait_for
from support.schemas.small_shop import add_order, differences

from demo.embedded import EmbeddedValkey
from faults.broker_view import flush, messages

pytestmark = pytest.mark.faults

FLUSHES = 200 if LONG else 25
FLUSH_EVERY_S = 0.1
_SENT = "SELECT count(*) FROM replank.job WHERE sent_at IS NOT NULL"
FROZEN_S = 15.0 if LONG else 3.0


def test_flushed_again_and_again(site: Site, broker: EmbeddedValkey, ledger: LedgerView) -> None:
    # Given: jobs whose messages wait in the queue
    run = site.run(workers=0)
    ledger.wait_for_states({"copying"})
    wait_for("all messages in the queue", lambda: messages(broker) == ledger.number(_SENT) > 0)
    # When: they are lost before anyone saw them, and again and again while workers work
    flush(broker)
    assert messages(broker) == 0
    site.worker("--concurrency=2")
    for _ in range(FLUSHES):
        time.sleep(FLUSH_EVERY_S)
        flush(broker)
    # Then
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    assert ledger.unfinished_jobs() == 0


def test_killed_and_frozen_in_the_middle_of_jobs(site: Site, broker: EmbeddedValkey, ledger: LedgerView) -> None:
    # Given: workers in the middle of jobs
    site.run(workers=0)
    ledger.wait_for_states({"copying"})
    site.end()
    with locked(site.database_url, "replank_next", "orders"):
        run = site.run(workers=2)
        wait_for("a job under way", ledger.leases, explain=ledger.explain)
        # When: the broker is killed, and jobs fall due while it is down
        broker.kill()
        add_order(site.database_url, number=-1)
    try:
        wait_for(
            "the coordinator to miss the broker, or the copies to end without it",
            lambda: "broker does not answer" in run.stderr or ledger.jobs("waiting") == 0,
            explain=ledger.explain,
        )
    finally:
        broker.resume()
    # When: it freezes a little later
    broker.freeze()
    try:
        time.sleep(FROZEN_S)
    finally:
        broker.thaw()
    # Then
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    assert ledger.unfinished_jobs() == 0
