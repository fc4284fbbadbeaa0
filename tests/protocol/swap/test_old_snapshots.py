"""A session whose snapshot is older than the new tables' newest rows would not see them: the swap waits for it."""

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import IsolationLevel
from support.oracles.oracle import count, live, one
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, eventually, table

from producer.rollback.rollback import roll_back
from protocol.caches.cached_shop import CACHE, present, until
from protocol.caches.cached_shop import Begin as BeginCached
from sql.health.lock_traffic import snapshots
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

ROWS = 50
KEY = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


def _create(app: psycopg.Connection) -> None:
    app.execute("CREATE TABLE p (id text PRIMARY KEY, n int)")
    app.execute("CREATE TABLE apart (n int)")
    app.execute("INSERT INTO p SELECT gen_random_uuid()::text, g FROM generate_series(1, %s) AS g", [ROWS])


def _take_snapshot(session: psycopg.Connection, level: IsolationLevel) -> None:
    """Without a lock on any table of the run."""
    session.isolation_level = level
    session.execute("SELECT FROM apart").fetchall()


@pytest.fixture
def old(other: psycopg.Connection) -> psycopg.Connection:
    """A session whose transactions stay open."""
    other.execute("SET application_name = 'the old one'")
    other.commit()
    return other


@pytest.mark.attack("A3", "a transaction whose snapshot is older than the swap reads and writes the new table")
@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_a_snapshot_from_before_the_run_is_waited_for(
    app: psycopg.Connection, old: psycopg.Connection, begin: Begin, attack: Attack, level: IsolationLevel
) -> None:
    """It would find the new table empty, and its UPDATE would hit nothing."""
    _create(app)
    _take_snapshot(old, level)
    rebuild = begin(table("p", "id"), cutover_wait_ms=100)
    rebuild.ready()
    assert [rebuild.try_to_swap() for _ in range(2)] == [False, False]
    (waiting,) = rebuild.sets
    assert f"pid {old.info.backend_pid} (the old one, role postgres, idle in transaction" in waiting.problem
    assert waiting.chance is None  # No lock was asked for,
    assert waiting.longest_wait_ms == 0  # so nobody waited.
    assert old.execute("SELECT count(*) FROM p").fetchall() == [(ROWS,)]
    assert old.execute("UPDATE p SET n = -n WHERE n = 7").rowcount == 1
    old.commit()
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM p WHERE n < 0") == 1
    attack.record("the swap waited and named the session", tried=2, lost=0)


@pytest.mark.attack("A3", "a snapshot from after a write that the swap itself drains")
def test_a_snapshot_from_shortly_before_the_cutover_is_waited_for(
    app: psycopg.Connection, old: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    _create(app)
    rebuild = begin(table("p", "id"), cutover_wait_ms=100)
    rebuild.ready()
    app.execute("INSERT INTO p VALUES (%s, 0)", [KEY])
    app.execute("UPDATE p SET n = -n WHERE n = 9")
    _take_snapshot(old, IsolationLevel.REPEATABLE_READ)
    assert rebuild.try_to_swap() is False
    assert old.execute("SELECT n FROM p WHERE n <= 0 ORDER BY n").fetchall() == [(-9,), (0,)]
    old.commit()
    rebuild.finish()
    attack.record("the swap waited and named the session", lost=0)


def test_where_the_plan_says_so_old_snapshots_are_ignored(
    app: psycopg.Connection, old: psycopg.Connection, begin: Begin
) -> None:
    _create(app)
    _take_snapshot(old, IsolationLevel.REPEATABLE_READ)
    rebuild = begin(table("p", "id"), old_snapshots="ignore")
    rebuild.finish()
    # PostgreSQL says so of every rewrite that is not MVCC-safe.
    assert old.execute("SELECT count(*) FROM p").fetchall() == [(0,)]
    old.commit()
    assert count(app, live("p")) == ROWS


@pytest.mark.attack("A3", "a snapshot that is older than the swap of a rollback")
def test_the_way_back_waits_for_old_snapshots_too(
    app: psycopg.Connection, old: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    _create(app)
    rebuild = begin(table("p", "id"), cutover_wait_ms=100)
    rebuild.finish()
    app.execute("INSERT INTO p VALUES (%s, 0)", [KEY])
    _take_snapshot(old, IsolationLevel.REPEATABLE_READ)
    seen: list[object] = []

    def rest(_: float) -> None:
        if not seen:
            seen.append(old.execute("SELECT id::text FROM p WHERE n = 0").fetchone())
            old.commit()

    said: list[str] = []
    roll_back(rebuild.connection, say=said.append, sleep=rest)
    assert seen == [(KEY,)]
    assert any("the old one, role postgres, idle in transaction" in words for words in said)
    assert count(app, live("p")) == ROWS + 1
    attack.record("the swap back waited and named the session", lost=0)


def test_the_way_back_takes_along_what_commits_while_it_waits(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin
) -> None:
    """By the drain for which writers wait: at the first attempt, and nothing is left for the lock itself."""
    _create(app)
    rebuild = begin(table("p", "id"), cutover_wait_ms=20_000)
    rebuild.finish()
    other.execute("INSERT INTO p VALUES (%s, 0)", [KEY])
    said: list[str] = []
    going = threading.Thread(target=lambda: roll_back(rebuild.connection, say=said.append, sleep=lambda _: None))
    going.start()
    waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'p'::regclass"
    eventually(lambda: app.execute(waits).fetchone() is not None, "the rollback waits for the writer")
    other.commit()
    going.join()
    assert not any("missed" in words for words in said), said
    assert one(app, "SELECT id FROM p WHERE n = 0") == KEY


def test_a_caches_swap_waits_for_old_snapshots_too(
    shop: psycopg.Connection, old: psycopg.Connection, start: BeginCached
) -> None:
    shop.execute("CREATE TABLE apart (n int)")
    _take_snapshot(old, IsolationLevel.REPEATABLE_READ)
    rebuild = start(CACHE)
    until(rebuild, "ready")
    for _ in range(3):
        rebuild.pass_time()
        rebuild.turn()
        rebuild.work()
    assert present(rebuild).state == "ready"
    assert "the old one, role postgres, idle in transaction" in present(rebuild).problem
    assert old.execute("SELECT count(*) > 0 FROM user_permission_cache").fetchall() == [(True,)]
    old.commit()
    until(rebuild, "done")


STOP_THERE = """
CREATE FUNCTION stop_there() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'replank_past.p') THEN
     PERFORM pg_advisory_xact_lock(1); END IF; END $$;
CREATE FUNCTION seen(wanted text) RETURNS bigint LANGUAGE plpgsql STABLE AS
  $$ BEGIN RETURN (SELECT count(*) FROM p WHERE id::text = wanted); END $$
"""


@pytest.fixture
def reader(database: Url) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.mark.usefixtures("event_triggers_fire")
@pytest.mark.attack("A3", "a STABLE function reads what its session wrote, called while the swap holds its lock")
def test_a_session_reads_its_own_write_across_the_swap(
    app: psycopg.Connection, other: psycopg.Connection, reader: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    """The outer query's snapshot is taken before the function waits for the table; it must see the drained row."""
    _create(app)
    for statement in STOP_THERE.split(";\nCREATE"):
        app.execute(f"CREATE {statement.removeprefix(chr(10) + 'CREATE')}".encode())
    rebuild = begin(table("p", "id"), cutover_wait_ms=20_000, cutover_hold_budget_ms=20_000)
    rebuild.ready()
    app.execute("CREATE EVENT TRIGGER stop_there ON ddl_command_end EXECUTE FUNCTION stop_there()")
    app.execute("SELECT pg_advisory_lock(1)")
    other.execute("INSERT INTO p VALUES (%s, 0)", [KEY])
    swap = threading.Thread(target=rebuild.swap)
    swap.start()
    found: list[object] = []

    def waits_for(what: str) -> bool:
        asked = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = %s"
        return app.execute(asked, [what]).fetchone() is not None

    call = threading.Thread(target=lambda: found.append(reader.execute("SELECT seen(%s)", [KEY]).fetchone()))
    try:
        eventually(lambda: waits_for("relation"), "the swap waits for the writer")
        other.commit()
        eventually(lambda: waits_for("advisory"), "the swap stands under its lock")
        call.start()
        eventually(lambda: waits_for("relation"), "the function waits for the table")
    finally:
        app.execute("SELECT pg_advisory_unlock(1)")
        swap.join()
        app.execute("DROP EVENT TRIGGER stop_there")
    call.join()
    assert found == [(1,)]
    attack.record("the row was seen", acknowledged=1, lost=0)
    rebuild.finish()


@pytest.mark.attack("A3", "an old snapshot of a session that the run's role may not see")
def test_an_old_snapshot_of_a_hidden_session_is_seen_too(
    app: psycopg.Connection, database: Url, attack: Attack
) -> None:
    """Without pg_read_all_stats a session's kind, state and age are NULL; that it holds a snapshot is not."""
    app.execute("CREATE ROLE stranger")
    app.execute("CREATE ROLE plain")
    try:
        with (
            psycopg.connect(database) as hidden,
            connect(database, name="first") as first,
            connect(database, name="second") as second,
        ):
            hidden.execute("SET SESSION AUTHORIZATION stranger")
            hidden.commit()
            hidden.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            hidden.execute("SELECT count(*) FROM pg_class")
            second.execute("SET SESSION AUTHORIZATION plain")
            assert [each.pid for each in snapshots(second, first)] == [hidden.info.backend_pid]
    finally:
        app.execute("DROP ROLE stranger, plain")
    attack.record("it is waited for")
