"""The rehearsal: on a clone that is taken while everybody writes, there and back, and nothing of it is left."""

import threading
from typing import Any

import psycopg
import pytest

from demo.embedded import EmbeddedPostgres
from gates.conftest import TABLES, drive, planned, settings_of
from monitoring.status.figures import compare_with_rehearsal
from producer.gates.checking_gates import check_gates
from producer.planning.resolution import PlanFile
from producer.rehearsal.cloning import PREFIX, cloned
from producer.rehearsal.database_state import differences, read_database_state
from producer.rehearsal.rehearsal import Rehearsal, RehearsalOptions
from producer.rollback.rollback import roll_back
from replank.errors import NeedsOperator, WrongUse
from replank.settings import Settings
from replank.values.states import RunState
from replank.values.steps import Step
from sql.ledger.runs import runs
from sql.ledger.runs.gate_records import Word
from sql.ledger.runs.gates import Gate
from sql.ledger.runs.runs import Run
from sql.session.connection import connect
from sql.session.database_identity import identity_of

pytestmark = pytest.mark.protocol

REHEARSED = {"not_asked": ["backup", "monitoring", "window"], "attestations": []}
STEPS_ASKED: dict[str, Any] = {
    "indexes": {},
    "audit_log": {"tables": ["customer"]},
    "enums": [{"name": "mood", "values": ["ok"]}],
    "optimize": {"reindex": ["public.customer_pkey"]},
}


def rehearse(file: PlanFile, url: str, server: str, *, again: bool = False, forward: Any = drive) -> Word:
    options = RehearsalOptions(server=server, by="Ann", again=again)
    settings = settings_of(url)
    return Rehearsal(file=file, settings=settings, options=options, forward=forward, say=lambda _: None).rehearse()


def clones(postgres: EmbeddedPostgres) -> list[str]:
    with psycopg.connect(postgres.url()) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{PREFIX}%"])
        return [name for (name,) in found]


def gates_of(file: PlanFile, url: str) -> dict[str, Gate]:
    with connect(url, name="test") as connection:
        return {gate.name: gate for gate in check_gates(connection, file.plan)}


def test_a_rehearsal_opens_its_gates_for_this_plan_alone(postgres: EmbeddedPostgres, database: str) -> None:
    # Given a plan with scripts, a data migration, and something to finish
    file = planned(database, steps=STEPS_ASKED, gates=REHEARSED)
    settings = settings_of(database)
    assert drive(file, settings).state is RunState.NEEDS_OPERATOR
    with connect(database, name="test") as connection:
        assert "was not rehearsed" in check_gates(connection, file.plan)[0].reason
        # The scripts before the data migration have run already: a clone would not show what they do.
        with pytest.raises(WrongUse, match="has already changed this database"):
            rehearse(file, database, postgres.url())
        roll_back(connection, say=lambda _: None, sleep=lambda _: None)

    # When it is rehearsed, there, back, there again, and finished
    word = rehearse(file, database, postgres.url(), again=True)

    # Then it was good, it says what it cost, and nothing of it is left
    assert word.evidence["passed"], word.words
    assert word.evidence["same"] == {"tables": 2, "rows": 2050}
    assert [one["rows_live"] for one in word.evidence["compared"]] == [50, 2000]
    figures = word.evidence["figures"]
    assert figures["wal_bytes"] > 100_000
    assert figures["disk_bytes"] > 100_000
    assert 0 < figures["lock_hold_ms"] < 5_000
    assert 0 < word.evidence["back"]["lock_hold_ms"] < 5_000
    assert {"02-add-missing-indexes", "08-migrate-uuid-types"} <= figures["steps"].keys()
    assert clones(postgres) == []

    # And both gates are passed, for what this plan says and nothing else
    assert {gate.state for gate in gates_of(file, database).values()} == {"passed"}
    other = planned(database, tables=[TABLES[0], {**TABLES[1], "axis": "heap"}], gates=REHEARSED)
    assert "a different version of the plan" in gates_of(other, database)["rehearsed"].reason

    # When the real run is done, what it cost stands beside what was predicted
    run = drive(file, settings)
    assert run.state is RunState.DONE, run.reason
    with connect(database, name="test") as connection:
        compared = {one.what: one for one in compare_with_rehearsal(connection, run)}
    for what in (
        "data migration",
        "phase 3 data migration",
        "WAL written",
        "longest lock held",
        "stage copy",
        "step 08-migrate-uuid-types",
    ):
        predicted, real = compared[what].predicted, compared[what].real
        assert predicted is not None
        assert real is not None
        assert real > 0
    assert compared["WAL written"].unit == "bytes"


def test_scripts_that_are_not_those_of_the_rehearsal(postgres: EmbeddedPostgres, database: str) -> None:
    file = planned(database, steps={"indexes": {}}, gates=REHEARSED)
    assert rehearse(file, database, postgres.url()).evidence["passed"]
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE bill (id int PRIMARY KEY, order_id text REFERENCES orders)")
    found = gates_of(file, database)
    assert found["rehearsed"].reason.startswith("since the rehearsal public.orders was changed, ")
    assert found["rollback_scripts"].state == "open"
    assert "rollback-02-remove-indexes" in found["rollback_scripts"].reason
    # A table that has nothing to do with the plan's is no change of them
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("DROP TABLE bill; CREATE TABLE stray (id int)")
    assert gates_of(file, database)["rehearsed"].state == "passed"

    # And what was rehearsed long ago
    with connect(database, name="test") as connection:
        connection.execute("UPDATE replank.gate_record SET at = at - interval '15 days'")
    assert "rehearsed 15 days ago; the plan allows 14 days" in gates_of(file, database)["rehearsed"].reason


@pytest.mark.slow
def test_a_rehearsal_that_fails_is_written_down_and_the_last_one_counts(
    postgres: EmbeddedPostgres, database: str, app: psycopg.Connection
) -> None:
    file = planned(database, gates=REHEARSED)
    assert rehearse(file, database, postgres.url()).evidence["passed"]
    app.execute("INSERT INTO orders (id, customer_id) SELECT 'no uuid', id FROM customer LIMIT 1")

    word = rehearse(file, database, postgres.url())

    assert not word.evidence["passed"]
    assert "forward on the clone" in word.words
    assert gates_of(file, database)["rehearsed"].state == "open"
    assert clones(postgres) == []


def test_a_way_back_that_leaves_something_else_is_found(postgres: EmbeddedPostgres, database: str) -> None:
    file = planned(database, gates=REHEARSED)

    def and_something_else(planned: PlanFile, settings: Settings, until: Step) -> Run:
        """As if a step had done what its rollback does not take back."""
        run = drive(planned, settings, until)
        with psycopg.connect(settings.database(), autocommit=True) as clone:
            clone.execute("CREATE TABLE public.left_over (id int); SELECT setval('orders_number_seq', 77777)")
            clone.execute("UPDATE public.customer SET name = 'another' WHERE name = 'Customer 7'")
        return run

    word = rehearse(file, database, postgres.url(), forward=and_something_else)
    assert not word.evidence["passed"]
    for told in ("CREATE TABLE public.left_over", "rows of public.customer", "sequence public.orders_number_seq"):
        assert told in word.words


def test_the_clone_is_of_one_moment(postgres: EmbeddedPostgres, database: str, app: psycopg.Connection) -> None:
    # Given somebody who moves money while the clone is made
    app.execute("CREATE TABLE account (id int PRIMARY KEY, amount int)")
    app.execute("INSERT INTO account SELECT g, 100 FROM generate_series(1, 200) AS g")
    app.execute("CREATE TABLE moved (id serial PRIMARY KEY, account int REFERENCES account, amount int)")
    ended = threading.Event()

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as writer:
            while not ended.is_set():
                writer.execute(
                    "WITH a AS (UPDATE account SET amount = amount - 1 WHERE id = 1 + (random() * 199)::int"
                    " RETURNING id) INSERT INTO moved (account, amount) SELECT id, 1 FROM a"
                )

    writing = threading.Thread(target=write)
    writing.start()
    try:
        with cloned(database, postgres.url(), keep=False) as clone:
            # Then its sums fit, and its jobs go to other queues than the database's own
            with psycopg.connect(clone.url) as copied:
                found = copied.execute(
                    "SELECT (SELECT sum(amount) FROM account) + (SELECT coalesce(sum(amount), 0) FROM moved)"
                ).fetchone()
            assert found == (20_000,)
            assert identity_of(clone.url) != identity_of(database)
    finally:
        ended.set()
        writing.join()
    assert clones(postgres) == []


@pytest.mark.slow
def test_a_clone_on_another_server_has_the_roles_it_needs(database: str, app: psycopg.Connection) -> None:
    app.execute('CREATE ROLE "the Owner"; CREATE ROLE clerk; GRANT clerk TO "the Owner"')
    app.execute('ALTER TABLE orders OWNER TO "the Owner"; GRANT SELECT ON orders TO clerk')
    try:
        with EmbeddedPostgres(durable=False) as other:
            with cloned(database, other.url(), keep=False) as clone:
                assert not clone.same_server
                before = read_database_state(database, clone.major)
                assert differences(before, read_database_state(clone.url, clone.major), rebuilt=()) == []
            with psycopg.connect(other.url()) as connection:
                left = connection.execute("SELECT FROM pg_roles WHERE rolname IN ('the Owner', 'clerk')").fetchall()
            assert left == []
    finally:
        app.execute('DROP VIEW open_orders; DROP TABLE orders; DROP OWNED BY clerk; DROP ROLE clerk, "the Owner"')


@pytest.mark.slow
def test_what_cannot_be_restored_leaves_nothing(
    postgres: EmbeddedPostgres, database: str, app: psycopg.Connection
) -> None:
    # A row that its table's CHECK forbids: it was there before, and nobody looked
    app.execute("CREATE TABLE checked (id int); INSERT INTO checked VALUES (99)")
    app.execute("ALTER TABLE checked ADD CONSTRAINT late CHECK (id < 10) NOT VALID")
    app.execute("UPDATE pg_constraint SET convalidated = true WHERE conname = 'late'")
    with (
        pytest.raises(NeedsOperator, match="The clone was not restored"),
        cloned(database, postgres.url(), keep=False),
    ):
        pass
    assert clones(postgres) == []


@pytest.mark.slow
def test_an_open_way_back_has_to_be_closed_first(postgres: EmbeddedPostgres, database: str) -> None:
    file = planned(
        database, gates={**REHEARSED, "not_asked": ["backup", "monitoring", "window", "rehearsed", "rollback_scripts"]}
    )
    assert drive(file, settings_of(database)).state is RunState.DONE
    with pytest.raises(WrongUse, match="done and not finished"):
        rehearse(file, database, postgres.url())
    with connect(database, name="test") as connection:
        assert runs.latest_run(connection) is not None


@pytest.mark.slow
def test_a_plan_without_a_way_back_says_so(postgres: EmbeddedPostgres, database: str) -> None:
    file = planned(database, options={"reverse_capture": False}, gates=REHEARSED)
    word = rehearse(file, database, postgres.url())
    assert word.evidence["passed"]
    assert "no rollback" in word.words
    assert gates_of(file, database)["rollback_scripts"].state == "open"


def test_indexes_for_like_go_and_come_back_in_the_clone(postgres: EmbeddedPostgres, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE INDEX customer_like ON customer (id text_pattern_ops)")
        app.execute("CREATE INDEX orders_like ON orders (customer_id text_pattern_ops)")
    word = rehearse(planned(database, gates=REHEARSED), database, postgres.url())
    assert not word.evidence["passed"]
    assert "pattern_indexes" in word.words
    word = rehearse(
        planned(database, gates=REHEARSED, options={"consent": ["pattern_indexes"]}), database, postgres.url()
    )
    assert word.evidence["passed"], word.words
    assert word.evidence["same"] == {"tables": 2, "rows": 2050}
