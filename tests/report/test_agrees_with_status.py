"""The report's figures and those of `status` are the same: rows, tables, jobs, what is kept aside."""

from collections.abc import Iterator

import psycopg
import pytest
from support.runs.harness import Rebuild, table

from monitoring.report.criteria import judge
from monitoring.report.facts import Facts, Given
from monitoring.status.read_status import read_status
from monitoring.status.status import Status
from producer.cli.report import gather
from sql.ledger.runs import runs

pytestmark = pytest.mark.catalogue


@pytest.fixture
def rebuild(empty: str) -> Iterator[Rebuild]:
    """Ready, with one row kept aside; compared again as soon as it waits."""
    with psycopg.connect(empty, autocommit=True) as app:
        app.execute(
            "CREATE TABLE item (id text PRIMARY KEY, note text);"
            "INSERT INTO item SELECT gen_random_uuid(), 'x' FROM generate_series(1, 9);"
            "INSERT INTO item VALUES ('master')"
        )
    columns = {"columns": [{"name": "id", "to": "uuid", "on_invalid": "quarantine"}]}
    made = Rebuild.begin(empty, [table("item", **columns)], {"verify_again_minutes": 0})
    with made.closing():
        made.ready()
        yield made


@pytest.fixture
def app(empty: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty, autocommit=True) as connection:
        yield connection


def _both(rebuild: Rebuild) -> tuple[Facts, Status]:
    run = runs.read_run(rebuild.connection, rebuild.run_id)
    return gather(rebuild.connection, run, Given()), read_status(rebuild.connection)


def _agree(rebuild: Rebuild) -> None:
    facts, status = _both(rebuild)
    (verified,), (shown,) = facts.verified, status.tables
    assert verified.sides is not None
    assert (verified.name, verified.state) == (shown.name, shown.state)
    assert verified.sides.rows_live == shown.rows_done == shown.rows_total
    assert sum(facts.quarantined.values()) == shown.rows_quarantined
    by_state: dict[str, int] = {}
    for one in facts.work:
        by_state[one.state] = by_state.get(one.state, 0) + one.jobs
    assert by_state == {state: count for state, count in status.jobs.items() if count}
    loss = judge(facts).criteria[1]
    assert loss.met is not False, loss.names
    if loss.met:
        aside = f"{shown.rows_quarantined} row{'' if shown.rows_quarantined == 1 else 's'} quarantined"
        assert f"{shown.rows_done} rows in 1 table verified, {aside}" in loss.shown


def test_a_verification_that_was_given_up_counts_for_neither(rebuild: Rebuild) -> None:
    # Given one beside the waiting, which has begun and does not come to its end
    before = rebuild.table("item").generation
    while rebuild.table("item").generation == before:
        rebuild.turn()
    _agree(rebuild)
    # When the cutover comes
    rebuild.swap()
    rebuild.finish()
    # Then the one before it is what was proved
    _agree(rebuild)


def test_rows_that_came_since_the_first_verification_are_in_both(rebuild: Rebuild, app: psycopg.Connection) -> None:
    app.execute("INSERT INTO item SELECT gen_random_uuid(), 'new' FROM generate_series(1, 5)")
    rounds = read_status(rebuild.connection).tables[0].verification
    assert rounds is not None
    for _ in range(60):
        rebuild.turn()
        rebuild.pass_time()
        rebuild.work()
        shown = read_status(rebuild.connection).tables[0]
        if shown.rows_done == 15:
            break
    _agree(rebuild)
    assert read_status(rebuild.connection).tables[0].rows_done == 15


def test_what_is_kept_aside_after_its_verification_is_in_both(rebuild: Rebuild, app: psycopg.Connection) -> None:
    # Given one more row that is kept aside, and one that was corrected, after the last verification
    runs.set_hold(rebuild.connection, rebuild.run_id, hold_cutover=False)
    app.execute("INSERT INTO item VALUES ('slave', 'x'), ('child', 'x')")
    rebuild.finish()
    _agree(rebuild)
    facts, _ = _both(rebuild)
    assert sum(facts.quarantined.values()) == 3
