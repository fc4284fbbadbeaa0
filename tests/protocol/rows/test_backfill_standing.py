"""What fills new rows of a table that is filled in place is off for a while: no row written meanwhile stays empty."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import count, live, one
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, table

from replank.values.states import TableState
from sql.ledger.runs.events import read_events

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]
EMPTY = "SELECT count(*) FROM doc WHERE created_by IS DISTINCT FROM 'by ' || n OR twice IS DISTINCT FROM n * 2"


@pytest.fixture
def docs(app: psycopg.Connection) -> None:
    app.execute("CREATE TABLE doc (id int PRIMARY KEY, n int, created_by text)")
    app.execute(
        "INSERT INTO doc SELECT g, g, CASE WHEN g % 2 = 0 THEN 'by ' || g END FROM generate_series(1, 500) AS g"
    )


def _begin(begin: Begin) -> Rebuild:
    return begin(
        table(
            "doc",
            method="backfill",
            fill=[{"name": "created_by", "value": "'by ' || live.n"}],
            add=[{"name": "twice", "type": "int", "value": "live.n * 2", "unique": True}],
        )
    )


def _off(app: psycopg.Connection) -> None:
    app.execute("ALTER TABLE doc DISABLE TRIGGER replank_fill")
    app.execute("INSERT INTO doc (id, n) VALUES (1001, 1001)")
    app.execute("ALTER TABLE doc ENABLE ALWAYS TRIGGER replank_fill")


def _dropped(app: psycopg.Connection) -> None:
    app.execute("DROP TRIGGER replank_fill ON doc")
    app.execute("INSERT INTO doc (id, n) VALUES (1001, 1001)")


def _all_off(app: psycopg.Connection) -> None:
    app.execute("ALTER TABLE doc DISABLE TRIGGER ALL")
    app.execute("INSERT INTO doc (id, n) VALUES (1001, 1001)")
    app.execute("ALTER TABLE doc ENABLE TRIGGER ALL")


@pytest.mark.attack("A4", "the trigger that fills new rows is switched off, dropped, or replaced for a while")
@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize("gap", [_off, _dropped, _all_off])
@pytest.mark.parametrize("state", [TableState.BACKFILLING, TableState.CONSTRAINING])
def test_rows_written_while_it_was_off_are_filled(
    app: psycopg.Connection, begin: Begin, gap: Callable[[psycopg.Connection], None], state: TableState, attack: Attack
) -> None:
    # Given a gap after the chunks of the last round, before the end
    rebuild = _begin(begin)
    rebuild.until(TableState.BACKFILLING)
    rebuild.work("backfill")
    rebuild.until(state)
    rebuild.work("backfill")
    gap(app)
    app.execute("INSERT INTO doc (id, n) VALUES (1002, 1002)")
    rebuild.finish()
    # Then another round has found the row, and it is said
    assert count(app, live("doc")) == 502
    assert one(app, EMPTY) == 0
    said = [event for event in read_events(rebuild.connection, rebuild.run_id) if event.kind == "backfill"]
    assert any("the trigger that fills new rows" in str(event.message) for event in said)
    assert one(app, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'replank%'") == 0
    attack.record("another round filled what was written meanwhile", tried=1, lost=0)


@pytest.mark.attack("A4", "a partition attached while its table is filled in place")
def test_rows_of_a_partition_that_is_attached_meanwhile_are_filled(
    app: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    app.execute("CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)")
    app.execute("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (500)")
    app.execute("INSERT INTO p SELECT g FROM generate_series(1, 200) AS g")
    rebuild = begin(table("p", method="backfill", fill=[{"name": "v", "value": "'v' || live.id"}]))
    rebuild.until(TableState.CONSTRAINING)
    app.execute("CREATE TABLE p2 (id int PRIMARY KEY, v text)")
    app.execute("INSERT INTO p2 SELECT g FROM generate_series(500, 520) AS g")
    app.execute("ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (500) TO (1000)")
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM p WHERE v IS DISTINCT FROM 'v' || id") == 0
    attack.record("another round filled its rows", tried=1, lost=0)


@pytest.mark.usefixtures("docs")
def test_without_a_gap_there_is_no_round_more(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = _begin(begin)
    rebuild.finish()
    assert one(app, EMPTY) == 0
    rounds = "SELECT count(DISTINCT generation) FROM replank.job WHERE kind = 'backfill'"
    assert one(app, rounds) == 2
