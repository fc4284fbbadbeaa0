"""`panic` while an index of a step is being built: in the run, and in `finish`; nothing half done is left."""

import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import stays, wait_for
from support.schemas.small_shop import differences

from cli.evidence import refused

pytestmark = pytest.mark.cli

STEPS = """
[steps.indexes]
add = [{ name = "customers_name", table = "customers", columns = ["name"] }]
[steps.optimize]
reindex = ["orders_customer_id_idx"]
"""
_BUILDS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s"
    " AND state = 'active' AND query LIKE %s"
)
_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


def test_builds_of_steps_end_at_once_and_are_done_again(site: Site, ledger: LedgerView) -> None:
    site.plan.write_text(site.plan.read_text() + STEPS)
    with psycopg.connect(site.database_url) as writer:
        # Given an index that waits for an old transaction
        writer.execute("UPDATE customers SET name = name || '!' WHERE name = 'Customer 5'")
        run = site.run()
        build = ("replank step%", "%CREATE INDEX CONCURRENTLY%")
        wait_for("the build", lambda: ledger.number(_BUILDS, *build), explain=ledger.explain)
        # When
        assert site.call("panic", "--reason", "too slow").exit_code == 0
        # Then it has ended, is not begun again, and the run is not called broken
        assert stays(lambda: ledger.number(_BUILDS, *build) == 0, for_s=1.5)
        assert run.running
        assert ledger.run_state() == "running"
    assert site.call("resume").exit_code == 0
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert ledger.rows(_INVALID) == [], finished.stderr
    assert differences(site.database_url) == []

    with psycopg.connect(site.database_url) as reader:
        # Given `finish`, whose step 12 waits for an old snapshot
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM pg_class")
        finish = site.start("finish", "--yes")  # it asks for its lock again and again
        build = ("replank finish%", "%REINDEX INDEX CONCURRENTLY%")
        wait_for("the build", lambda: ledger.number(_BUILDS, *build), explain=ledger.explain)
        # When
        assert site.call("panic").exit_code == 0
        # Then it has ended, and does not begin again before `resume`
        assert finish.wait().exit_code == 1
        assert ledger.number(_BUILDS, *build) == 0
    refused(site.call("finish", "--yes"), "paused", "replank resume", exit_code=1)
    assert site.call("resume").exit_code == 0
    done = site.call("finish", "--yes")
    assert done.exit_code == 0, done.stderr
    assert ledger.rows(_INVALID) == []
