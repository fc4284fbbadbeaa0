"""`verify` compares now, before the swap and after it, and says what it cannot compare."""

import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.schemas.small_shop import add_order

from cli.conftest import ORDERS
from cli.evidence import document_of, refused

pytestmark = pytest.mark.cli

SAME = {("public.customers", 200, 200, 0), ("public.orders", ORDERS, ORDERS, 0)}


def _told(site: Site, exit_code: int) -> set[tuple[object, ...]]:
    done = site.call("verify", "--json")
    assert done.exit_code == exit_code, done.stderr
    told = document_of(done)
    assert isinstance(told, dict)
    return {(t["name"], t["rows_live"], t["rows_next"], t["mismatches"]) for t in told["tables"]}


def test_both_sides_before_and_after_the_swap(site: Site, ledger: LedgerView) -> None:
    refused(site.call("verify"), "nothing to compare", exit_code=2)
    run = site.run("--hold-cutover")
    ledger.wait_for_states({"ready"})
    assert _told(site, 0) == SAME
    # What waits in the log is left out: it is no difference.
    add_order(site.database_url, number=-1)
    assert _told(site, 0) == SAME
    # A row that somebody changed behind everybody's back is one.
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE replank_next.customers SET name = 'other' WHERE name = 'Customer 7'")
    assert {t[3] for t in _told(site, 1)} == {0, 1}
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE replank_next.customers SET name = 'Customer 7' WHERE name = 'other'")

    assert site.call("cutover").exit_code == 0
    assert run.wait().exit_code == 0
    everything = {("public.customers", 200, 200, 0), ("public.orders", ORDERS + 1, ORDERS + 1, 0)}
    assert _told(site, 0) == everything
    add_order(site.database_url, number=-2)
    assert _told(site, 0) == everything
    with psycopg.connect(site.database_url) as connection:
        connection.execute("DELETE FROM replank_past.orders WHERE number BETWEEN 1 AND 3")
    assert ("public.orders", ORDERS - 2, ORDERS + 1, 3) in _told(site, 1)
    assert site.call("finish", "--yes").exit_code == 1
    assert site.call("finish", "--yes", "--without-proof").exit_code == 0
    after = site.call("verify", "--json")
    assert (after.exit_code, after.document["error"]) == (2, "No table could be compared.")
