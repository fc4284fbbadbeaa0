"""`run` and the commands that steer it: twice, held, paused, with nothing to do."""

import psutil
import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import stays, wait_for
from support.schemas.small_shop import COLUMNS, differences

from cli.conftest import MakeSite
from cli.evidence import document_of, id_types, look, refused
from demo.embedded import EmbeddedPostgres, EmbeddedValkey

pytestmark = pytest.mark.cli

UUID = {f"{table}.{column}": "uuid" for table, columns in COLUMNS.items() for column in columns}
CONTRACT = {"run_id", "state", "phase", "step", "tables", "jobs", "rate_rows_s", "eta_s", "window"}


def test_the_same_plan_twice_changes_nothing_the_second_time(site: Site) -> None:
    # Given a run that is done
    first = site.run().wait()
    assert first.exit_code == 0, first.stderr
    told = document_of(first)
    assert isinstance(told, dict)
    assert told.keys() >= CONTRACT
    assert (told["state"], told["reason"]) == ("done", "")
    assert id_types(site.database_url) == UUID
    assert differences(site.database_url) == []
    # It told people how it went on, and programs nothing but the end
    assert "event='progress' run=1 rows=" in first.stderr
    assert "Run 1 is done" in first.stderr
    before = look(site.database_url)

    # When the same plan is run again
    second = site.run().wait()

    # Then it says so, and nothing has changed
    assert second.exit_code == 0, second.stderr
    assert "is already done. Nothing was changed" in second.stderr
    again = document_of(second)
    assert isinstance(again, dict)
    assert (again["run_id"], again["state"]) == (told["run_id"], "done")
    assert look(site.database_url) == before


def test_a_held_cutover_waits_until_it_is_released(
    site: Site, ledger: LedgerView, postgres: EmbeddedPostgres, broker: EmbeddedValkey
) -> None:
    # Given a run whose cutover is held
    run = site.run("--hold-cutover")
    ledger.wait_for_states({"ready"})
    arguments = [" ".join(process.cmdline()) for process in [psutil.Process(run.pid), *run.family()]]
    # Then it waits
    assert stays(lambda: run.running and ledger.table_states() == {"ready"}, for_s=1.5)
    assert set(id_types(site.database_url).values()) == {"text"}

    # When it is released
    released = site.call("cutover")

    # Then it swaps and ends
    assert released.exit_code == 0, released.stderr
    assert "the cutover is released" in released.stderr
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert id_types(site.database_url) == UUID
    assert differences(site.database_url) == []
    # And the passwords stood in no output and no argument list
    assert len(arguments) >= 2
    for text in (finished.stdout, finished.stderr, *arguments):
        assert postgres.password not in text
        assert broker.password not in text


def test_a_stopped_run_goes_on_with_the_same_command(site: Site, ledger: LedgerView) -> None:
    run = site.run("--hold-cutover")
    ledger.wait_for_states({"ready"})
    assert len(run.family()) == 3, "a worker and its two children"
    run.terminate()
    refused(run.wait(), "The coordinator was stopped", "run the same command again", exit_code=1)
    wait_for("the workers to end", lambda: not run.family())
    # The run is still held: whoever goes on with it has to release it
    assert site.call("cutover").exit_code == 0
    finished = site.run().wait()
    assert finished.exit_code == 0, finished.stderr
    assert id_types(site.database_url) == UUID


def test_a_paused_run_does_not_go_on_until_it_is_resumed(site: Site, ledger: LedgerView) -> None:
    # Given a run that was stopped while it copied
    run = site.run(workers=0)
    ledger.wait_for_states({"copying"})

    # When it is paused, and there are workers
    paused = site.call("pause")
    assert paused.exit_code == 0, paused.stderr
    worker = site.worker("--concurrency=1")

    # Then nothing is done, and status says why
    assert stays(lambda: worker.running and ledger.table_states() == {"copying"}, for_s=3)
    assert ledger.jobs("done") == 0
    status = document_of(site.call("status", "--json"))
    assert isinstance(status, dict)
    assert (status["state"], status["paused"], status["eta_s"]) == ("running", True, None)
    assert status["window"]["now"] == 0
    assert "paused" in status["window"]["reason"]
    assert "(paused)" in site.call("status").stderr

    # When it is resumed, it goes on to the end
    assert site.call("resume").exit_code == 0
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert id_types(site.database_url) == UUID


def test_empty_tables_are_converted(make_site: MakeSite) -> None:
    site = make_site(None)
    with psycopg.connect(site.database_url) as connection:
        connection.execute("CREATE TABLE customers (id text PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE orders (id text PRIMARY KEY, customer_id varchar(36) REFERENCES customers, note char(36))"
        )
    finished = site.run(workers=1).wait()
    assert finished.exit_code == 0, finished.stderr
    assert id_types(site.database_url) == UUID
    # And the new tables take rows
    with psycopg.connect(site.database_url) as connection:
        connection.execute("INSERT INTO customers VALUES ('0123abcd-0123-4567-89ab-0123456789ab')")
        connection.execute("INSERT INTO orders VALUES (gen_random_uuid(), (SELECT id FROM customers), 'x')")


@pytest.mark.parametrize("command", ["cutover", "pause", "resume", "retry"])
def test_steering_without_a_run_is_wrong_use(site: Site, command: str) -> None:
    refused(site.call(command), "No run is open on this database", exit_code=2)
