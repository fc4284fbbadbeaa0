"""The database loses sessions, or stops as in a crash: the run goes on when it answers again."""

import time

import psycopg
import pytest
from support.oracles.journal_oracle import foreign_keys_hold
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import add_order, differences

from demo.application import Application
from demo.embedded import EmbeddedPostgres
from sql.session.connection import connect, isolated

pytestmark = pytest.mark.faults


def test_sessions_terminated_while_copying_and_verifying(site: Site, ledger: LedgerView) -> None:
    # Given: workers in the middle of copies
    coordinator = site.run(workers=0)
    ledger.wait_for_states({"copying"})
    with locked(site.database_url, "replank_next", "orders"):
        site.worker("--concurrency=2", "--queues=replank.copy,replank.index")
        wait_for("a job under way", ledger.leases, explain=ledger.explain)
        # When: every session of Replank is terminated
        assert ledger.terminate("replank worker%") >= 1
        assert ledger.terminate("replank coordinator%") == 1
        add_order(site.database_url, number=-1)
    # Given: jobs of a verification under way, with its snapshot
    ledger.wait_for_states({"verifying"})
    with locked(site.database_url, "replank_next", "orders"):
        site.worker("--concurrency=2", "--queues=replank.verify")
        wait_for("verification under way", lambda: ledger.jobs("leased", "verify"), explain=ledger.explain)
        # When: the session that keeps the snapshot is terminated, and all others too
        assert ledger.terminate("replank snapshot%") >= 1
        assert ledger.terminate("replank worker%") >= 1
        assert ledger.terminate("replank coordinator%") == 1
    # Then: the same processes go on
    finished = coordinator.wait()
    assert finished.exit_code == 0, finished.stderr
    assert "connection to the database lost; reconnecting" in finished.stderr
    assert differences(site.database_url) == []
    assert ledger.unfinished_jobs() == 0


def test_a_session_that_ends_in_an_isolated_transaction_says_so(site: Site, ledger: LedgerView) -> None:
    """Resetting the isolation level of a dead session must not hide why it died."""
    with connect(site.database_url, name="isolated") as connection:
        with (
            pytest.raises(psycopg.OperationalError),
            isolated(connection, psycopg.IsolationLevel.REPEATABLE_READ),
            connection.transaction(),
        ):
            connection.execute("SELECT 1")
            assert ledger.terminate("replank isolated") == 1
            connection.execute("SELECT 1")
        assert connection.closed


def test_database_crashes_under_live_writers(sample_site: Site, postgres: EmbeddedPostgres) -> None:
    site, ledger = sample_site, LedgerView(url=sample_site.database_url)
    with Application(url=site.database_url, clients=2, rate=60) as application:
        # Given: workers in the middle of copies
        coordinator = site.run(workers=0)
        ledger.wait_for_states({"copying"})
        with locked(site.database_url, "replank_next", "order_items"):
            site.worker("--concurrency=2", "--queues=replank.copy,replank.index")
            wait_for("a job under way", ledger.leases, explain=ledger.explain)
            # When: PostgreSQL stops at once and comes back
            postgres.crash()
        time.sleep(0.5)
        postgres.resume()
        # Given: a verification under way
        table = wait_for("a table to be verified", lambda: _verified_now(ledger), explain=ledger.explain)
        with locked(site.database_url, "replank_next", table):
            site.worker("--concurrency=2", "--queues=replank.verify")
            wait_for("verification under way", lambda: ledger.jobs("leased", "verify"), explain=ledger.explain)
            # When: it stops again
            postgres.crash()
        postgres.resume()
        # Then: the coordinator and the workers go on, through the cutover, and no write is lost
        finished = coordinator.wait()
        assert finished.exit_code == 0, finished.stderr
        report = application.stop()
    assert report.lost == []
    assert report.acknowledged > 0
    assert foreign_keys_hold(site.database_url) == []
    assert ledger.unfinished_jobs() == 0


def _verified_now(ledger: LedgerView) -> str:
    """The largest table of the schema `public` that is being verified, or ""."""
    found = ledger.rows(
        "SELECT table_name FROM replank.run_table WHERE state = 'verifying' AND schema_name = 'public'"
        " ORDER BY rows_estimate DESC LIMIT 1"
    )
    return str(found[0][0]) if found else ""
