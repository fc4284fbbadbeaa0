"""A partition is attached without a look at rows: CHECKs have proved that its bound holds."""

from collections.abc import Iterator

import psycopg
import pytest
from support.oracles.oracle import one
from support.runs.harness import Url, eventually

from producer.partitions import upkeep as partition_upkeep
from producer.partitions.upkeep import Kept, keep_partitions
from replank.plan.plan import DatabasePlan, OptionsPlan, Plan
from replank.plan.tables.table_plan import TablePlan
from sql.partitions import partition_proof
from sql.session.connection import Connection, connect

pytestmark = pytest.mark.protocol

INSERT = "INSERT INTO event VALUES (-1, date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month')"
EVENT = """
CREATE TABLE event (id int, at timestamp NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE event_default PARTITION OF event DEFAULT;
INSERT INTO event SELECT g, timestamp '2020-01-01' + g * interval '1 minute' FROM generate_series(1, 5000) AS g
"""


@pytest.fixture
def upkeep(database: Url, app: psycopg.Connection) -> Iterator[Connection]:
    for statement in EVENT.split(";\n"):
        app.execute(statement.encode())
    with connect(database, name="partitions") as connection:
        yield connection


def _keep(connection: Connection, *, with_checks: bool) -> Kept:
    said = {"by": "range", "column": "at", "every": "month", "ahead": 1, "consent": ["uniqueness"]}
    plan = Plan(
        database=DatabasePlan(name=connection.info.dbname),
        options=OptionsPlan(lock_timeout_ms=50),
        tables=(TablePlan.model_validate({"name": "event", "partition": said}),),
    )
    (kept,) = keep_partitions(connection, plan, dry_run=False, say=lambda _: None, with_checks=with_checks)
    return kept


def _left(app: psycopg.Connection) -> object:
    return one(app, "SELECT count(*) FROM pg_constraint WHERE conname = 'replank_bound_holds'")


@pytest.mark.parametrize("with_checks", [False, True])
def test_gotcha_42_attach_reads_no_row_where_checks_prove_the_bounds(
    app: psycopg.Connection, upkeep: Connection, with_checks: bool
) -> None:
    """The server itself says so: the new partition is never looked through, the DEFAULT one not with CHECKs."""
    notes: list[str] = []
    upkeep.add_notice_handler(lambda note: notes.append(str(note.message_primary)))
    upkeep.execute("SET client_min_messages = debug1")
    kept = _keep(upkeep, with_checks=with_checks)
    assert len(kept.created) == 2
    assert kept.problems == []
    implied = [note for note in notes if "implied by existing constraints" in note]
    assert len([note for note in implied if note.startswith("partition constraint for table")]) == 2
    assert len([note for note in implied if "default partition" in note]) == (2 if with_checks else 0)
    assert _left(app) == 0
    app.execute(INSERT.encode())
    assert one(app, "SELECT tableoid::regclass::text FROM event WHERE id = -1") == kept.created[1].removeprefix(
        "public."
    )


def test_gotcha_42_the_checks_go_when_it_cannot_be(
    app: psycopg.Connection, upkeep: Connection, database: Url, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CHECK that stayed behind would refuse the application's rows."""
    monkeypatch.setattr(partition_upkeep, "ATTEMPTS", 3)
    with psycopg.connect(database) as other:
        other.execute("SELECT count(*) FROM event_default")
        kept = _keep(upkeep, with_checks=True)
        assert any("could not lock the table" in problem for problem in kept.problems)
    eventually(lambda: _left(app) == 0, "no CHECK is left")
    app.execute(INSERT.encode())
    assert _keep(upkeep, with_checks=True).rows_moved == 1
    assert _left(app) == 0


def test_gotcha_42_rows_that_came_in_before_the_promise_are_found(
    app: psycopg.Connection, upkeep: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted none, then one came: the CHECK cannot be proved, and nothing is attached over it."""
    promise = partition_proof.promise_outside
    written: list[bool] = []

    def late(*arguments: object) -> None:
        if not written:
            written.append(True)
            app.execute(INSERT.encode())
        promise(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(partition_proof, "promise_outside", late)
    kept = _keep(upkeep, with_checks=True)
    assert len(kept.created) + len(kept.problems) == 2
    assert _left(app) == 0
    assert one(app, "SELECT count(*) FROM event") == 5001
