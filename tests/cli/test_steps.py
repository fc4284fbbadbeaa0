"""Steps through the command line: compiled, read, run as far as asked, taken back."""

from pathlib import Path

import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import add_order, differences

from cli.evidence import document_of, id_types, look, refused, traces

pytestmark = pytest.mark.cli

STEPS = """
[steps.uuid_fields]
column = "public_id"
tables = ["customers"]
[steps.indexes]
add = [{ name = "customers_name", table = "customers", columns = ["name"] }]
[steps.audit_log]
keep = "12 months"
[steps.optimize]
reindex = ["orders_customer_id_idx"]
"""


@pytest.fixture
def stepped(site: Site) -> Site:
    site.plan.write_text(site.plan.read_text() + STEPS)
    return site


def _audited(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM audit.audit_log").fetchone()
    assert found is not None
    return int(found[0])


def test_compiled_run_in_parts_and_taken_back(stepped: Site, tmp_path: Path) -> None:
    # Given scripts that were compiled for review
    before = look(stepped.database_url)
    scripts = tmp_path / "scripts"
    compiled = stepped.call("compile", str(stepped.plan), "--out", str(scripts), "--json")
    assert compiled.exit_code == 0, compiled.stderr
    assert look(stepped.database_url) == before
    assert (scripts / "01-add-uuid-fields.sql").read_text().count("-- [") == 5
    assert "not in the plan" in compiled.stderr

    # When the run is to go as far as a step
    first = stepped.run("--until", "2", "--scripts", str(scripts)).wait()

    # Then it has done these and nothing more
    assert first.exit_code == 0, first.stderr
    told = document_of(first)
    assert isinstance(told, dict)
    assert (told["state"], told["step"], told["phase"]) == ("running", "02-add-missing-indexes", 1)
    assert [s["finished"] for s in told["steps"]] == [True, True, False, False]
    assert set(id_types(stepped.database_url).values()) == {"text", "uuid"}
    assert "has reached the requested step" in first.stderr

    # And the next one goes on from there, but not into a pass that was read before these steps changed the tables
    stopped = stepped.run().wait()
    assert stopped.exit_code == 1, stopped.stderr
    assert "08-migrate-uuid-types is not what was reviewed" in stopped.stderr
    assert stepped.call("compile", str(stepped.plan), "--out", str(scripts)).exit_code == 0
    assert stepped.call("retry").exit_code == 0

    # Read again, it goes through the rebuild, whose new tables have all of it
    second = stepped.run("--scripts", str(scripts)).wait()
    assert second.exit_code == 0, second.stderr
    told = document_of(second)
    assert isinstance(told, dict)
    assert (told["state"], told["step"]) == ("done", "08-migrate-uuid-types")
    assert set(id_types(stepped.database_url).values()) == {"uuid"}
    assert differences(stepped.database_url) == []
    captured = _audited(stepped.database_url)
    with psycopg.connect(stepped.database_url, autocommit=True) as connection:
        connection.execute("UPDATE customers SET name = name || '!' WHERE ctid = '(0,1)'")
        connection.execute("SELECT 'customers_name'::regclass")
    assert _audited(stepped.database_url) == captured + 1


def test_what_has_begun_is_taken_back_before_the_tables_are_swapped(stepped: Site, ledger: LedgerView) -> None:
    before = look(stepped.database_url)
    run = stepped.run("--hold-cutover")
    ledger.wait_for_states({"ready"})
    run.terminate()
    run.wait()
    done = stepped.call("rollback", "--yes", "--forget")
    assert done.exit_code == 0, done.stderr
    assert "step 03-add-audit-tables: rolled back" in done.stderr
    assert look(stepped.database_url) == before
    assert traces(stepped.database_url) == []
    with psycopg.connect(stepped.database_url) as connection:
        assert connection.execute("SELECT to_regnamespace('audit')").fetchone() == (None,)


def test_back_to_a_step_from_after_the_cutover_and_forward_again_and_finish(stepped: Site) -> None:
    # Given a run whose tables are swapped, and what was written since
    before = id_types(stepped.database_url)
    first = stepped.run().wait()
    assert first.exit_code == 0, first.stderr
    written = add_order(stepped.database_url, number=-7)

    # When it goes back to the second step
    back = stepped.call("rollback", "--yes", "--to", "02-add-missing-indexes")

    # Then the first two stay, the third is taken back with the tables, and nothing is lost
    assert back.exit_code == 0, back.stderr
    assert "rolled back to step 02-add-missing-indexes" in back.stderr
    assert id_types(stepped.database_url) == {**before, "customers.public_id": "uuid"}
    with psycopg.connect(stepped.database_url) as connection:
        assert connection.execute("SELECT number FROM orders WHERE id = %s", [written]).fetchone() == (-7,)
        assert connection.execute("SELECT to_regclass('customers_name') IS NULL").fetchone() == (False,)
        assert connection.execute("SELECT to_regnamespace('audit')").fetchone() == (None,)
    told = document_of(stepped.call("status", "--json"))
    assert isinstance(told, dict)
    assert (told["state"], told["step"], told["tables"]) == ("running", "02-add-missing-indexes", [])

    # And the same plan goes forward from there to its end
    again = stepped.run().wait()
    assert again.exit_code == 0, again.stderr
    assert differences(stepped.database_url) == []
    finished = stepped.call("finish", "--yes", "--json")
    assert finished.exit_code == 0, finished.stderr
    assert "step 12-optimize-indexes is done" in finished.stderr
    refused(stepped.call("rollback", "--yes", "--forget"), "is finished", "cannot be rolled back", exit_code=2)
    refused(stepped.call("rollback", "--yes", "--to", "9"), "is finished", exit_code=2)


def test_a_changed_script_is_refused_before_the_first_write(stepped: Site, tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    assert stepped.call("compile", str(stepped.plan), "--out", str(scripts)).exit_code == 0
    changed = scripts / "rollback-03-remove-audit-tables.sql"
    changed.write_text(changed.read_text().replace("DROP SCHEMA", "DROP  SCHEMA"))
    before = look(stepped.database_url)
    refused(
        stepped.run("--scripts", str(scripts)).wait(),
        "rollback-03-remove-audit-tables.sql is not what this plan and this database compile to now",
        exit_code=2,
    )
    assert look(stepped.database_url) == before
    assert traces(stepped.database_url) == []


def test_a_block_that_fails_calls_a_person_and_goes_on_after_retry(stepped: Site) -> None:
    plan = stepped.plan.read_text()
    stepped.plan.write_text(plan.replace('columns = ["name"] }', 'columns = ["name"], unique = true }'))
    with psycopg.connect(stepped.database_url) as connection:
        connection.execute("UPDATE customers SET name = 'same' WHERE name IN ('Customer 1', 'Customer 2')")
    stopped = stepped.run("--phase", "1").wait()
    assert stopped.exit_code == 1, stopped.stderr
    assert "02-add-missing-indexes, block 2" in stopped.stderr
    assert "same" in stopped.stderr
    with psycopg.connect(stepped.database_url) as connection:
        connection.execute("UPDATE customers SET name = id WHERE name = 'same'")
    assert stepped.call("retry").exit_code == 0
    ended = stepped.run("--phase", "1").wait()
    assert ended.exit_code == 0, ended.stderr
    told = document_of(ended)
    assert isinstance(told, dict)
    assert (told["state"], told["step"]) == ("running", "03-add-audit-tables")


def test_a_rollback_does_not_wait_for_the_block_under_way(stepped: Site, ledger: LedgerView) -> None:
    # Given an index build that waits for somebody's old transaction
    before = look(stepped.database_url)
    with psycopg.connect(stepped.database_url) as connection:
        connection.execute("SELECT pg_current_xact_id()")
        connection.execute("DELETE FROM customers WHERE false")
        run = stepped.run(workers=0)
        waits = "SELECT FROM pg_stat_activity WHERE application_name = 'replank step' AND wait_event_type = 'Lock'"
        wait_for("a block to wait", lambda: ledger.rows(waits), explain=ledger.explain)
        # When it is rolled back, then the build is given up, and nothing is left when the rollback's own locks are free
        rollback = stepped.start("rollback", "--yes", "--forget")
        assert run.wait(deadline_s=30).exit_code == 1
    done = rollback.wait()
    assert done.exit_code == 0, done.stderr
    assert look(stepped.database_url) == before


def test_proposals_for_indexes(site: Site) -> None:
    with psycopg.connect(site.database_url) as connection:
        connection.execute("CREATE INDEX one_more ON orders (customer_id)")
    found = site.call("indexes", "--json")
    assert found.exit_code == 0, found.stderr
    told = document_of(found)
    assert isinstance(told, dict)
    assert [(p["index"], p["action"], p["kind"]) for p in told["proposals"]] == [
        ("public.one_more", "drop", "duplicate")
    ]
    assert "[steps.optimize]" in found.stderr
