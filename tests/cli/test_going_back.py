"""The way back and its end, through the real command."""

import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.schemas.small_shop import add_order, differences

from cli.conftest import ORDERS
from cli.evidence import document_of, id_types, look, refused, traces

pytestmark = pytest.mark.cli


def test_back_after_the_cutover_and_there_again_and_finish(site: Site, ledger: LedgerView) -> None:
    # Given a run that is done, and an application that has written since
    before = look(site.database_url)
    assert site.run().wait().exit_code == 0
    order = add_order(site.database_url, number=-1)
    status = document_of(site.call("status", "--json"))
    assert isinstance(status, dict)
    assert status["reverse_capture"] == {"waiting": 1, "closed": [], "doubtful": []}
    assert "reverse capture: 1 change waiting" in site.call("status").stderr

    # When it is rolled back
    done = site.call("rollback", "--yes", "--forget")

    # Then the tables are what they were, with what was written since, and nothing else is left
    assert done.exit_code == 0, done.stderr
    assert "public.orders: 1 logged change drained into the past table" in done.stderr
    assert "public.orders: past and new table are equal" in done.stderr
    assert "past tables are live again; lock waited for" in done.stderr
    assert "Run 1 is rolled back." in done.stderr
    assert done.stdout == ""
    with psycopg.connect(site.database_url) as connection:
        connection.execute("DELETE FROM orders WHERE id = %s", [order])
    assert look(site.database_url) == before
    assert traces(site.database_url) == []

    # And the same plan can be run again, and finished
    assert site.run().wait().exit_code == 0
    assert differences(site.database_url) == []
    refused(site.call("finish", "--json"), "add `--yes` to confirm", exit_code=2)
    finished = site.call("finish", "--yes", "--json")
    assert finished.exit_code == 0, finished.stderr
    told = document_of(finished)
    assert isinstance(told, dict)
    assert (told["run_id"], told["state"]) == (1, "finished")
    assert {d["name"] for d in told["dropped"] if d["what"] == "past table"} == {
        "replank_past.customers",
        "replank_past.orders",
    }
    assert told["bytes"] > 0
    assert set(id_types(site.database_url).values()) == {"uuid"}
    assert ledger.run_state() == "finished"

    # Then there is no way back, the plan is done, and a second finish changes nothing
    refused(site.call("rollback", "--yes", "--forget"), "Run 1 is finished", "cannot be rolled back", exit_code=2)
    again = site.run().wait()
    assert again.exit_code == 0
    assert "already done" in again.stderr
    assert "is already finished. Nothing was changed" in site.call("finish").stderr


def test_finish_asks(site: Site, ledger: LedgerView) -> None:
    assert site.run().wait().exit_code == 0
    # Nobody is there to answer
    asked = site.call("finish")
    assert asked.exit_code == 1
    assert "past table replank_past.orders" in asked.stderr
    assert "afterwards no rollback is possible" in asked.stderr
    assert ledger.run_state() == "done"
    assert ledger.number("SELECT count(*) FROM replank_past.orders") == ORDERS


def test_nothing_to_finish(site: Site) -> None:
    refused(site.call("finish", "--yes"), "there is nothing to finish", exit_code=2)
