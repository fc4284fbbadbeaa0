"""A connection that is lost at the cutover's COMMIT: the ledger knows whether it happened."""

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.runs.ledger_view import LedgerView
from support.runs.processes import Process, Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import differences

from demo.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults

_GATE = """
CREATE FUNCTION public.wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER wait_at_commit AFTER UPDATE ON replank.conversion_set DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD.swapped_at IS NULL AND NEW.swapped_at IS NOT NULL) EXECUTE FUNCTION public.wait_at_commit();
"""


@pytest.fixture
def held(site: Site, ledger: LedgerView) -> Process:
    """A run that has come to its held cutover."""
    plan = site.plan.read_text(encoding="utf-8")
    # Long enough for the faults to be injected while the locks are held.
    site.plan.write_text(plan.replace("[options]", "[options]\ncutover_hold_budget_ms = 60000"), encoding="utf-8")
    # Of all commits only the cutover's waits for standbys.
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        database = Identifier(connection.info.dbname)
        connection.execute(SQL("ALTER DATABASE {} SET synchronous_commit = off").format(database))
    run = site.run("--hold-cutover", workers=2)
    ledger.wait_for_states({"ready"})
    wait_for("the last drains", lambda: ledger.unfinished_jobs() == 0, explain=ledger.explain)
    return run


def _swapped_once(ledger: LedgerView) -> bool:
    swaps = ledger.rows("SELECT table_no, count(*) FROM replank.table_history WHERE state = 'swapped' GROUP BY 1")
    types = ledger.rows(
        "SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attname = 'id'"
        " AND attrelid IN ('public.orders'::regclass, 'replank_past.orders'::regclass) ORDER BY 1"
    )
    return [count for _, count in swaps] == [1, 1] and types == [("text",), ("uuid",)]


def test_commit_that_did_not_happen(site: Site, held: Process, ledger: LedgerView) -> None:
    # Given: a cutover that waits inside its COMMIT
    with psycopg.connect(site.database_url, autocommit=True) as gate:
        gate.execute(_GATE)
        gate.execute("SELECT pg_advisory_lock(4711)")
        assert site.call("cutover").exit_code == 0
        wait_for("the cutover's COMMIT", lambda: _waiting(ledger, "advisory"), explain=ledger.explain)
        # When: its session is lost there
        assert ledger.terminate("replank coordinator%") == 1
        wait_for("its end", lambda: not _waiting(ledger, "advisory"), explain=ledger.explain)
        assert ledger.number("SELECT count(*) FROM replank.conversion_set WHERE swapped_at IS NOT NULL") == 0
        gate.execute("DROP FUNCTION public.wait_at_commit() CASCADE")
        gate.execute("SELECT pg_advisory_unlock(4711)")
    # Then: nothing has happened, and it is done again
    _finishes(site, held, ledger)


def test_commit_that_did_happen(site: Site, held: Process, postgres: EmbeddedPostgres, ledger: LedgerView) -> None:
    # Given: commits that wait for a standby that does not exist: the cutover's is done, but not answered
    with psycopg.connect(postgres.url(), autocommit=True) as server:
        server.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        server.execute("SELECT pg_reload_conf()")
        try:
            with psycopg.connect(site.database_url, autocommit=True) as operator:
                operator.execute("UPDATE replank.run SET hold_cutover = false")
            wait_for("the cutover's COMMIT", lambda: _waiting(ledger, "SyncRep"), explain=ledger.explain)
            # When: its session is lost before the answer
            assert ledger.terminate("replank coordinator%") == 1
            wait_for("its end", lambda: not _waiting(ledger, "SyncRep"), explain=ledger.explain)
            assert ledger.number("SELECT count(*) FROM replank.conversion_set WHERE swapped_at IS NOT NULL") == 1
        finally:
            server.execute("ALTER SYSTEM RESET synchronous_standby_names")
            server.execute("SELECT pg_reload_conf()")
    # Then: the ledger says that it has happened, and it is not done again
    _finishes(site, held, ledger)


def _waiting(ledger: LedgerView, event: str) -> bool:
    return bool(
        ledger.rows(
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'replank coordinator%%' AND wait_event = %s"
            " AND datname = current_database() AND query = 'COMMIT'",
            event,
        )
    )


def _finishes(site: Site, held: Process, ledger: LedgerView) -> None:
    finished = held.wait()
    assert finished.exit_code == 0, finished.stderr
    assert "outcome unknown; resolving it from the ledger" in finished.stderr, finished.stderr
    assert _swapped_once(ledger)
    assert differences(site.database_url) == []
    assert ledger.unfinished_jobs() == 0
