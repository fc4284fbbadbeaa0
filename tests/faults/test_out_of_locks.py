"""The server has no room for locks left: it is said what to raise, nothing is lost, and the run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.schemas.small_shop import create_small_shop, differences, write_plan

from demo.embedded import EmbeddedPostgres
from monitoring.status.suggestions import suggestion
from workers.execution.verdict import judge

pytestmark = pytest.mark.faults

SETTING = "max_locks_per_transaction"


@pytest.fixture
def narrow() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(durable=False, settings={SETTING: "10", "max_connections": "40"}) as server:
        yield server


def take_all(session: psycopg.Connection) -> psycopg.Error:
    """Hold every lock that there is room for. Returns the server's error at the next one."""
    number = 0
    while True:
        number += 1
        try:
            session.execute("SELECT pg_advisory_lock(%s)", [number])
        except psycopg.errors.OutOfMemory as error:
            return error


def test_a_run_without_room_for_locks_names_the_setting_and_goes_on_afterwards(
    site: Site, narrow: EmbeddedPostgres
) -> None:
    # Given: a run whose tables are ready, on a server with little room for locks
    url = narrow.create_database("shop")
    create_small_shop(url, orders=2_000)
    write_plan(site.plan, database="shop")
    # Workers that are stopped ask the server what they are at, and have no answer from it.
    settings = {**site.settings, "REPLANK_SOFT_SHUTDOWN_S": "1"}
    here, ledger = replace(site, database_url=url, settings=settings), LedgerView(url=url)
    run = here.run("--hold-cutover", workers=1)
    ledger.wait_for_states({"ready"})
    with psycopg.connect(url, autocommit=True) as session:
        # When: another session takes all of it
        error = take_all(session)
        here.call("cutover")
        # Then: the run ends, and says which setting it is and how to see who holds the locks
        finished = run.wait()
        assert finished.exit_code == 1, finished.stderr
        assert SETTING in finished.stderr
        assert "pg_locks" in finished.stderr
    # Then: a worker that meets it says the same, and tries again without halving its chunk
    verdict = judge(error)
    assert verdict is not None
    assert (verdict.failure.error_class, verdict.again, verdict.smaller) == ("out of locks", True, False)
    assert SETTING in verdict.failure.message
    assert SETTING in suggestion(verdict.failure.error_class)
    # When: there is room again, then: the same command goes on to the end, and nothing is lost
    here.call("cutover")
    finished = here.run(workers=1).wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(url) == []
