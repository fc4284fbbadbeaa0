"""A turn of the coordinator asks the ledger for each fact once."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.runs.harness import NoQueue, Rebuild, table
from support.runs.statements import asked_twice, listening_to

from monitoring.status.read_status import read_status
from producer.coordinator import coordinator as coordinating
from producer.coordinator.coordinator import Coordinator
from producer.coordinator.facts import Facts
from producer.coordinator.notices import Notices
from producer.dispatch.dispatcher import BrokerState
from producer.waiting.leader import try_to_lead
from replank.values.states import RunState, TableState
from sql.ledger.runs import runs

Begin = Callable[..., Rebuild]

pytestmark = [pytest.mark.protocol]

READ_AGAIN = {
    "runs._BY_ID": "before the run is called done: a pause or a rollback may have come while it was measured",
    "verifications.proved": "under the lock of the swap: a comparison may have found differences meanwhile",
}
"""What may be asked twice in one turn, and why."""


class Swallowing(NoQueue):
    """What is sent goes nowhere: the test executes the jobs by itself."""

    def send(self, *_: object) -> list[int]:
        return []

    def read_state(self, _: object) -> BrokerState | None:
        return None


MOST_WHILE_HELD = 20


def test_no_fact_of_the_ledger_is_read_twice_in_a_turn(
    app: psycopg.Connection, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a run of two sets that an operator holds at its cutover, with all that `run` looks at beside it
    monkeypatch.setattr(coordinating, "TICK_S", 0.01)
    monkeypatch.setattr(coordinating, "SWEEP_S", 0.0)
    for name in ("a", "b"):
        rows = SQL("SELECT gen_random_uuid()::text AS id, g AS n FROM generate_series(1, 20) AS g")
        app.execute(SQL("CREATE TABLE {} AS {}").format(Identifier(name), rows))
        app.execute(SQL("ALTER TABLE {} ADD PRIMARY KEY (id)").format(Identifier(name)))
    rebuild = begin(table("a", "id"), table("b", "id"))
    moments = iter(range(1_000_000))
    notices = Notices(
        connection=rebuild.connection,
        clock=lambda: float(next(moments)),
    )
    turns: list[list[tuple[str, str]]] = []
    quiet: list[int] = []

    def after_each_turn(facts: Facts) -> None:
        notices.report_changes(facts)
        turns.append(said.forget())
        if not rebuild.work():
            quiet.append(len(turns[-1]))
        if len(quiet) == 12:
            runs.set_hold(rebuild.connection, rebuild.run_id, hold_cutover=False)
        said.forget()

    # When it is driven to its end
    coordinator = Coordinator(
        connection=rebuild.connection,
        settings=rebuild.settings,
        run_id=rebuild.run_id,
        dispatcher=Swallowing(),
        between_turns=after_each_turn,
    )
    with listening_to(rebuild.connection) as said:
        run = coordinator.drive()

    # Then each turn has asked for nothing twice, and one in which nothing happens has asked for little
    assert run.state is RunState.DONE, rebuild.why()
    assert len(turns) > 20
    repeated = [asked_twice(each) - READ_AGAIN.keys() for each in turns]
    assert [each for each in repeated if each] == []
    assert min(quiet[5:12]) <= MOST_WHILE_HELD


def test_a_status_reads_each_fact_once(app: psycopg.Connection, begin: Begin) -> None:
    # Given a run that is led, after its swap and with jobs left: everything there is to read is read
    app.execute("CREATE TABLE a AS SELECT gen_random_uuid()::text AS id, g AS n FROM generate_series(1, 20) AS g")
    app.execute("ALTER TABLE a ADD PRIMARY KEY (id)")
    rebuild = begin(table("a", "id"))
    assert try_to_lead(rebuild.connection)
    rebuild.until(TableState.COPYING)
    for swapped in (False, True):
        if swapped:
            rebuild.ready()
            rebuild.swap()
        with listening_to(rebuild.connection) as said:
            status = read_status(rebuild.connection)
        assert asked_twice(said.statements) == set()
        assert (status.rollback_facts is not None) == swapped
