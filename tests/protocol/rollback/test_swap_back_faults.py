"""A way back that is stopped, held up or impossible: nothing is lost, and the same command goes on."""

import random
from collections.abc import Callable

import psycopg
import pytest
from psycopg.sql import SQL
from support.oracles.oracle import count, live, one, past
from support.oracles.returning import catalogue, changed, everything_left, go_back
from support.runs.harness import Rebuild, Url, table

from producer.rollback.finish import Finishing
from producer.rollback.rollback import roll_back, roll_back_through
from producer.waiting.wait_for_restart import wait_for_restart
from protocol.jobs.mortal import MortalConnection, MortalCursor
from replank.errors import CannotConnect, NeedsOperator, NotAnswering, OutcomeUnknown, WrongUse
from replank.values.states import RunState
from sql.session.connection import SESSION, Connection, apply_settings, connect

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

ID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


@pytest.fixture
def tables(app: psycopg.Connection) -> None:
    app.execute("CREATE TABLE parent (id text PRIMARY KEY, n int)")
    app.execute("CREATE TABLE child (id text PRIMARY KEY, parent_id text REFERENCES parent)")
    app.execute("CREATE VIEW both_of AS SELECT p.n, c.id FROM parent p JOIN child c ON c.parent_id = p.id")
    app.execute("CREATE TABLE single (id text PRIMARY KEY, note text)")
    app.execute("INSERT INTO parent SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    app.execute("INSERT INTO child SELECT gen_random_uuid()::text, id FROM parent")
    app.execute("INSERT INTO single SELECT gen_random_uuid()::text, 's' FROM parent")


def _done(app: psycopg.Connection, begin: Begin) -> Rebuild:
    rebuild = begin(
        table("parent", "id"),
        table("child", "id", "parent_id"),
        table("single", "id"),
        cutover_attempts=3,
        capture_attempts=3,
        lock_timeout_ms=50,
        cutover_wait_ms=100,
    )
    rebuild.finish()
    app.execute("INSERT INTO parent VALUES (%s, 51)", [ID])
    app.execute("INSERT INTO child VALUES (%s, %s)", [ID, ID])
    app.execute("DELETE FROM single WHERE id IN (SELECT id FROM single LIMIT 5)")
    return rebuild


def _mortal(url: Url, statements: int) -> MortalConnection:
    made = MortalConnection.connect(
        url, autocommit=True, cursor_factory=MortalCursor, application_name="replank mortal"
    )
    assert isinstance(made, MortalConnection)
    apply_settings(made, SESSION)
    made.statements_left = statements
    return made


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("step", [17, 29])
def test_killed_again_and_again_it_comes_to_its_end(
    app: psycopg.Connection, begin: Begin, database: Url, step: int
) -> None:
    before = catalogue(database, ["public"])
    rebuild = _done(app, begin)
    rebuild.close()
    deaths, statements = 0, step
    while True:
        connection = _mortal(database, statements)
        try:
            roll_back(connection, say=lambda _: None, sleep=lambda _: None)
            break
        except WrongUse:
            # The last death came after the last step: there is nothing to roll back.
            break
        except (psycopg.OperationalError, OutcomeUnknown):
            deaths, statements = deaths + 1, statements + step
            seen = {one(app, f"SELECT count(*) FROM {name}") for name in ("parent", "child")}  # noqa: S608
            assert seen == {51}
            app.execute("INSERT INTO single VALUES (gen_random_uuid(), 'after a death')")
        finally:
            connection.close()
    assert deaths > 4
    assert count(app, live("single")) == 45 + deaths
    assert changed(before, catalogue(database, ["public"])) == {}
    assert everything_left(app) == []


@pytest.mark.usefixtures("tables")
def test_a_lost_connection_is_taken_up_again(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    _done(app, begin).close()
    budgets = iter([40, 150, 10_000])
    said: list[str] = []
    done = roll_back_through(lambda: _mortal(database, next(budgets)), say=said.append, sleep=lambda _: None)
    assert done.run_id == 1
    assert said.count("connection to the database lost; the rollback continues from the ledger") == 2
    assert count(app, live("parent")) == 51
    assert everything_left(app) == []


def _answering(database: Url, *before: Exception | None) -> Callable[[], Connection]:
    """Connections to the database; each of these errors comes in the place of one."""
    left = list(before)

    def open_connection() -> Connection:
        error = left.pop(0) if left else None
        if error is not None:
            raise error
        return connect(database, name="rollback")

    return open_connection


@pytest.mark.usefixtures("tables")
def test_a_database_that_restarts_at_the_very_beginning_is_waited_for(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    _done(app, begin).close()
    starting = NotAnswering("FATAL: the database system is starting up.")
    said: list[str] = []
    # Before the first connection, and between the first look and the second connection
    opens = _answering(database, starting, starting, None, starting)
    wait_for_restart(opens, say=said.append, sleep=lambda _: None)
    assert [words.startswith("FATAL: the database system is starting up. Trying again") for words in said] == [True] * 2
    roll_back_through(opens, say=said.append, sleep=lambda _: None)
    assert count(app, live("parent")) == 51
    assert everything_left(app) == []
    with pytest.raises(NotAnswering):
        wait_for_restart(
            _answering(database, starting, starting), say=said.append, sleep=lambda _: None, patience_s=0.0
        )
    with pytest.raises(CannotConnect, match="password"):
        wait_for_restart(_answering(database, CannotConnect("wrong password")), say=said.append, sleep=lambda _: None)


def test_what_a_restart_says_is_told_from_a_wrong_url(database: Url) -> None:
    with pytest.raises(NotAnswering, match="Connection refused"):
        connect("postgresql://postgres:secret@127.0.0.1:1/none", name="test")
    with pytest.raises(CannotConnect) as wrong:
        connect(f"{database}_is_not_there", name="test")
    assert not isinstance(wrong.value, NotAnswering)


@pytest.mark.usefixtures("tables")
def test_a_reply_lost_at_commit_is_settled_from_the_ledger(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    """A deferred trigger ends the session inside the COMMIT of the first swap back: it has not happened."""
    rebuild = _done(app, begin)
    rebuild.close()
    app.execute(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    app.execute(
        "CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON replank.conversion_set DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW WHEN (OLD.swapped_back_at IS NULL AND NEW.swapped_back_at IS NOT NULL) EXECUTE FUNCTION die()"
    )
    with connect(database, name="rollback") as connection, pytest.raises(OutcomeUnknown):
        roll_back(connection, say=lambda _: None, sleep=lambda _: None)
    assert one(app, "SELECT count(*) FROM replank.conversion_set WHERE swapped_back_at IS NOT NULL") == 0
    assert one(app, "SELECT pg_typeof(id)::text FROM single LIMIT 1") == "uuid"
    app.execute("DROP FUNCTION die() CASCADE")
    with connect(database, name="rollback") as connection:
        roll_back(connection, say=lambda _: None, sleep=lambda _: None)
    assert count(app, live("single")) == 45
    assert everything_left(app) == []


@pytest.mark.usefixtures("tables")
def test_a_lock_that_others_hold_is_waited_for_only_so_long(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin
) -> None:
    rebuild = _done(app, begin)
    other.execute("SELECT FROM parent")
    with pytest.raises(
        NeedsOperator,
        match=r"attempted 3 times; (the locks were not granted in time; |no lock was requested: ).*SELECT FROM parent",
    ):
        go_back(rebuild)
    # The set without the lock went back first; of the other nothing has changed, and writing goes on.
    assert one(app, "SELECT pg_typeof(id)::text FROM parent LIMIT 1") == "uuid"
    assert (
        one(app, "SELECT count(*) FROM pg_class WHERE reloptions::text LIKE '%autovacuum%' AND relname = 'parent'") <= 1
    )
    app.execute("INSERT INTO parent VALUES (gen_random_uuid(), 52)")
    other.rollback()
    go_back(rebuild)
    assert count(app, live("parent")) == 52
    assert everything_left(app) == []


@pytest.mark.parametrize(
    ("kind", "said"), [("varchar(20)", r"varchar|character varying\(20\)"), ("char(16)", "character")]
)
def test_ids_that_the_past_table_has_no_room_for_are_named(
    app: psycopg.Connection, begin: Begin, kind: str, said: str
) -> None:
    app.execute(SQL("CREATE TABLE t (id {} PRIMARY KEY, n int)").format(SQL(kind)))
    app.execute("INSERT INTO t SELECT left('nano_' || md5(g::text), 14), g FROM generate_series(1, 20) AS g")
    rebuild = begin(table("t", columns=[{"name": "id", "to": "uuid", "on_invalid": "name_based"}]))
    rebuild.finish()
    app.execute("UPDATE t SET n = -n WHERE n < 5")
    app.execute("INSERT INTO t VALUES (%s, 21)", [ID])
    with pytest.raises(NeedsOperator, match=rf"public.t: a row .* does not fit .*({said}).*{ID}"):
        go_back(rebuild)
    assert rebuild.run.state is RunState.DONE
    assert count(app, past("t")) == 20
    app.execute("DELETE FROM t WHERE n = 21")
    go_back(rebuild)
    assert one(app, "SELECT count(*) FROM t WHERE rtrim(id) = left('nano_' || md5(abs(n)::text), 14)") == 20
    assert everything_left(app) == []


@pytest.mark.usefixtures("tables")
def test_writes_of_sessions_that_fire_no_triggers_are_captured_too(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = _done(app, begin)
    app.execute("SET session_replication_role = replica")
    app.execute("INSERT INTO single VALUES (%s, 'replica')", [ID])
    app.execute("RESET session_replication_role")
    go_back(rebuild)
    assert one(app, "SELECT note FROM single WHERE id = %s", ID) == "replica"


def test_there_is_nothing_to_roll_back(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    rebuild = begin(table("t", "id"))
    rebuild.finish()
    go_back(rebuild)
    with pytest.raises(WrongUse, match="there is nothing to roll back"):
        go_back(rebuild)


@pytest.mark.usefixtures("tables")
def test_an_attempt_that_was_killed_leaves_autovacuum_to_the_next(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    """Whether that one goes back or finishes."""
    rebuild = _done(app, begin)
    rebuild.close()
    off = "SELECT 'autovacuum_enabled=false' = ANY (reloptions) FROM pg_class WHERE oid = 'single'::regclass"
    for statements in range(60, 600, 10):
        with _mortal(database, statements) as connection, pytest.raises(psycopg.OperationalError):
            roll_back(connection, say=lambda _: None, sleep=lambda _: None)
        if one(app, off):
            break
    assert one(app, off)
    with connect(database, name="finish") as connection:
        finishing = Finishing(
            connection=connection, say=lambda _: None, sleep=lambda _: None, random_source=random.Random(1)
        )
        finishing.finish(finishing.run_to_finish())
    assert one(app, "SELECT reloptions FROM pg_class WHERE oid = 'single'::regclass") is None
