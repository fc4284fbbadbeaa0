"""The cutover: short, bounded, all or nothing. The numbers are those of the list of traps."""

import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import column_type, count, differences, live, one, past, traces
from support.runs.harness import Rebuild, Url, table

from producer.rollback.rollback import roll_back
from replank.values.states import RunState, TableState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]


def _create(app: psycopg.Connection, rows: int = 500) -> None:
    app.execute("CREATE TABLE p (id text PRIMARY KEY, n int, note text)")
    app.execute("CREATE TABLE c (id int PRIMARY KEY, p_id text REFERENCES p)")
    app.execute("INSERT INTO p SELECT gen_random_uuid()::text, g, 'x' FROM generate_series(1, %s) AS g", [rows])
    app.execute("INSERT INTO c SELECT n, id FROM p")


def _planned() -> tuple[object, object]:
    return table("p", "id"), table("c", "p_id")


def _same(app: psycopg.Connection) -> None:
    assert differences(app, past("p"), live("p"), {"id"}) == []
    assert differences(app, past("c"), live("c"), {"p_id"}) == []


def _settings(app: psycopg.Connection, schema: str = "public") -> list[tuple[str, list[str]]]:
    return app.execute(
        "SELECT relname::text, ARRAY(SELECT unnest(reloptions) ORDER BY 1) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = %s::regnamespace AND relname IN ('p', 'c') ORDER BY 1",
        [schema],
    ).fetchall()


class Application:
    """A client that reads and writes without pause, and remembers its longest wait in seconds."""

    def __init__(self, url: Url) -> None:
        self.url = url
        self.longest_s = 0.0
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Application":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    connection.execute("UPDATE p SET note = 'busy' WHERE n = 1")
                    connection.execute("SELECT count(*) FROM c").fetchall()
                except psycopg.Error as error:
                    self.errors.append(str(error))
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                self._stop.wait(0.002)


LOCK_TIMEOUT_MS, LOCK_BUDGET_MS = 40, 150


def test_gotcha_35_a_long_reader_costs_only_short_bounded_attempts(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin, database: Url
) -> None:
    """It is named and not killed; the application waits no longer than the budget; when it ends, we swap."""
    _create(app)
    options = {"lock_timeout_ms": LOCK_TIMEOUT_MS, "cutover_wait_ms": LOCK_BUDGET_MS}
    rebuild = begin(*_planned(), **options)
    rebuild.ready()
    other.execute("SET application_name = 'the long report'")
    other.execute("SELECT count(*) FROM c").fetchall()
    with Application(database) as application:
        for _ in range(5):
            began = time.monotonic()
            assert rebuild.try_to_swap() is False
            assert time.monotonic() - began < 5.0
        (blocked,) = rebuild.sets
        assert application.longest_s < 1.0 + LOCK_BUDGET_MS / 1000
        assert blocked.attempts == 5
        assert not blocked.blocked
        assert f"pid {other.info.backend_pid} (the long report" in blocked.problem
        assert other.execute("SELECT 1").fetchall() == [(1,)]
        other.commit()
        rebuild.finish()
    assert application.errors == []
    _same(app)
    (swapped,) = rebuild.sets
    assert swapped.lock_hold_ms is not None
    assert swapped.lock_hold_ms < 2000


def test_somebodys_truncate_before_the_lock_only_delays_the_cutover(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin
) -> None:
    """The drain right before the lock must read the live table: what keeps it from that passes."""
    _create(app)
    rebuild = begin(*_planned())
    rebuild.ready()
    app.execute("UPDATE c SET id = -id WHERE id = 3")
    rebuild.connection.execute("SET lock_timeout = '100ms'")
    other.execute("LOCK TABLE c IN ACCESS EXCLUSIVE MODE")
    for _ in range(3):
        assert rebuild.try_to_swap() is False
    (waiting,) = rebuild.sets
    assert waiting.attempts == 3
    assert not waiting.blocked
    other.rollback()
    rebuild.finish()
    _same(app)


def test_gotcha_35_the_wait_for_all_locks_together_is_bounded(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    """lock_timeout counts for each lock anew: a crowd of readers may not add up."""
    names = [f"t{n}" for n in range(6)]
    app.execute("CREATE TABLE p (id text PRIMARY KEY)")
    for name in names:
        app.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, p text REFERENCES p)".encode())
    rebuild = begin(
        table("p", "id"),
        *[table(name, "p") for name in names],
        lock_timeout_ms=400,
        cutover_wait_ms=300,
    )
    rebuild.ready()
    with psycopg.connect(database) as reader:
        reader.execute("SELECT count(*) FROM t5").fetchall()
        began = time.monotonic()
        assert rebuild.try_to_swap() is False
        waited = time.monotonic() - began
        # Once for the locks; the rest is what is done without them.
        assert waited < 3.0
        assert "t5" in rebuild.sets[0].problem or str(reader.info.backend_pid) in rebuild.sets[0].problem
        assert one(app, "SELECT count(*) FROM p") == 0
    rebuild.finish()


def test_gotcha_35_after_too_many_attempts_a_person_is_told_who_is_in_the_way(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin
) -> None:
    _create(app)
    app.execute("ALTER TABLE c SET (autovacuum_enabled = true, fillfactor = 90)")
    before = _settings(app)
    rebuild = begin(*_planned(), lock_timeout_ms=20, cutover_wait_ms=60, cutover_attempts=3)
    rebuild.ready()
    other.execute("SELECT count(*) FROM p").fetchall()
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "attempted 3 times" in rebuild.why()
    assert f"pid {other.info.backend_pid}" in rebuild.why()
    assert _settings(app) == before
    other.commit()
    app.execute("UPDATE p SET n = -n WHERE n < 50")
    rebuild.retry()
    rebuild.finish()
    _same(app)


def test_gotcha_36_autovacuum_is_off_around_the_cutover_and_back_exactly(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin
) -> None:
    """On the new tables and on the past ones, set or not set."""
    _create(app)
    app.execute("ALTER TABLE c SET (autovacuum_enabled = false, fillfactor = 90)")
    before = _settings(app)
    assert before == [("c", ["autovacuum_enabled=false", "fillfactor=90"]), ("p", [])]
    rebuild = begin(*_planned(), lock_timeout_ms=20, cutover_wait_ms=60)
    rebuild.ready()
    assert _settings(app) == before
    other.execute("SELECT count(*) FROM p").fetchall()
    assert rebuild.try_to_swap() is False
    during = dict(_settings(app))
    assert during["p"] == ["autovacuum_enabled=false"]
    other.commit()
    rebuild.finish()
    assert _settings(app) == before
    assert _settings(app, "replank_past") == before


def test_gotcha_36_rollback_between_two_attempts_restores_autovacuum_too(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin
) -> None:
    _create(app)
    app.execute("ALTER TABLE c SET (autovacuum_enabled = true)")
    before = _settings(app)
    rebuild = begin(*_planned(), lock_timeout_ms=20, cutover_wait_ms=60)
    rebuild.ready()
    other.execute("SELECT count(*) FROM p").fetchall()
    assert rebuild.try_to_swap() is False
    assert _settings(app) != before
    other.commit()
    rebuild.snapshots.close()
    roll_back(rebuild.connection, say=lambda _: None)
    assert _settings(app) == before
    assert traces(app) == []
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0
    app.execute("INSERT INTO p VALUES ('any text', 1, '')")


@pytest.mark.parametrize("state", [TableState.PLANNED, TableState.COPYING, TableState.INDEXING, TableState.VERIFYING])
def test_rollback_at_every_stage_leaves_no_trace(app: psycopg.Connection, begin: Begin, state: TableState) -> None:
    _create(app)
    rebuild = begin(*_planned())
    rebuild.until(state)
    roll_back(rebuild.connection, say=lambda _: None)
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0
    assert traces(app) == []
    app.execute("UPDATE p SET n = -n")
    assert count(app, live("p")) == 500


def test_gotcha_38_statistics_are_there_in_the_first_second(app: psycopg.Connection, begin: Begin) -> None:
    _create(app, 2000)
    rebuild = begin(*_planned())
    rebuild.ready()
    rebuild.swap()
    assert one(app, "SELECT reltuples FROM pg_class WHERE oid = 'p'::regclass") == 2000
    known = app.execute("SELECT attname::text FROM pg_stats WHERE tablename = 'p' AND schemaname = 'public'")
    assert {name for (name,) in known} == {"id", "n", "note"}
    assert one(app, "SELECT count(*) FROM pg_stats WHERE tablename = 'c' AND schemaname = 'public'") == 2
    rebuild.finish()


CHANGES = {
    "column": "ALTER TABLE p ADD COLUMN extra int",
    "dropped column": "ALTER TABLE p DROP COLUMN note",
    "type": "ALTER TABLE p ALTER COLUMN n TYPE bigint",
    "default": "ALTER TABLE p ALTER COLUMN note SET DEFAULT 'new'",
    "not null": "ALTER TABLE p ALTER COLUMN note SET NOT NULL",
    "index": "CREATE INDEX extra ON p (n)",
    "dropped index": "DROP INDEX there",
    "check": "ALTER TABLE p ADD CONSTRAINT extra CHECK (n < 100000)",
    "foreign key to it": "CREATE TABLE late (p_id text REFERENCES p)",
    "foreign key from it": "ALTER TABLE p ADD COLUMN up text REFERENCES p",
    "trigger": "CREATE TRIGGER extra BEFORE UPDATE ON p EXECUTE FUNCTION tsvector_update_trigger()",
    "trigger's state": "ALTER TABLE p DISABLE TRIGGER there",
    "grant": "GRANT SELECT ON p TO PUBLIC",
    "column grant": "GRANT UPDATE (n) ON p TO PUBLIC",
    "owner": "ALTER TABLE p OWNER TO pg_read_all_data",
    "view": "CREATE VIEW extra AS SELECT * FROM p",
    "function with its row type": "CREATE FUNCTION extra(p) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "policy": "CREATE POLICY extra ON p USING (true)",
    "row security": "ALTER TABLE p ENABLE ROW LEVEL SECURITY",
    "publication": "CREATE PUBLICATION extra FOR TABLE p",
    "extended statistics": "CREATE STATISTICS extra ON n, note FROM p",
    "rule": "CREATE RULE extra AS ON DELETE TO p DO ALSO NOTHING",
    "replica identity": "ALTER TABLE p REPLICA IDENTITY FULL",
    "child": "CREATE TABLE extra () INHERITS (p)",
    "statistics target": "ALTER TABLE p ALTER COLUMN n SET STATISTICS 50",
    "comment": "COMMENT ON COLUMN p.n IS 'new'",
    "storage option": "ALTER TABLE p SET (fillfactor = 55)",
}


def test_ddl_during_the_run_stops_the_cutover_with_a_clear_message(app: psycopg.Connection, begin: Begin) -> None:
    """Nothing that somebody added is left behind on the past table in silence. One set for each change."""
    schemas = {what: f"s{number}" for number, what in enumerate(CHANGES)}
    for schema in schemas.values():
        app.execute(f"CREATE SCHEMA {schema}".encode())
        app.execute(f"SET search_path = {schema}".encode())
        app.execute("CREATE TABLE p (id text PRIMARY KEY, n int, note text)")
        app.execute("CREATE INDEX there ON p (note)")
        app.execute(
            "CREATE TRIGGER there BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        )
        app.execute("INSERT INTO p VALUES (gen_random_uuid()::text, 1, 'x')")
    app.execute("CREATE SCHEMA untouched CREATE TABLE p (id text PRIMARY KEY)")
    rebuild = begin(*[table("p", "id", schema=schema) for schema in [*schemas.values(), "untouched"]], sets="apart")
    rebuild.ready()
    for what, schema in schemas.items():
        app.execute(f"SET search_path = {schema}".encode())
        app.execute(CHANGES[what].encode())
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    problems = {member.spec.schema: rebuild.sets[member.set_no - 1].problem for member in rebuild.tables}
    silent = [what for what, schema in schemas.items() if "changed during the run" not in problems[schema]]
    assert silent == []
    assert all(f"{schema}.p" in problems[schema] for schema in schemas.values())
    assert column_type(app, live("p", "untouched"), "id") == "uuid"


def test_ddl_that_was_undone_stops_nothing(app: psycopg.Connection, begin: Begin) -> None:
    _create(app)
    rebuild = begin(*_planned())
    rebuild.ready()
    app.execute("CREATE INDEX extra ON p (n)")
    app.execute("CREATE VIEW seen AS SELECT * FROM p")
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    app.execute("DROP INDEX extra")
    app.execute("DROP VIEW seen")
    rebuild.retry()
    rebuild.finish()
    _same(app)


def test_a_past_table_of_the_same_name_stops_the_cutover_and_harms_nothing(
    app: psycopg.Connection, begin: Begin
) -> None:
    """It could be the only copy of the spellings of an earlier run."""
    _create(app)
    rebuild = begin(*_planned())
    rebuild.ready()
    app.execute("CREATE SCHEMA replank_past CREATE TABLE p (precious text)")
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "already exists" in rebuild.why()
    assert column_type(app, live("p"), "id") == "text"
    assert column_type(app, live("c"), "p_id") == "text"
    app.execute("ALTER TABLE replank_past.p RENAME TO p_of_old")
    rebuild.retry()
    rebuild.finish()
    _same(app)


def test_changes_that_commit_late_are_in_the_last_drain(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin
) -> None:
    """Written before the cutover, committed while it waits for the lock."""
    _create(app)
    rebuild = begin(*_planned(), lock_timeout_ms=5000, cutover_wait_ms=10000)
    rebuild.ready()
    other.execute("UPDATE p SET note = 'late', n = -n WHERE n <= 20")
    other.execute("INSERT INTO p VALUES ('{0FD00F6B-0000-4000-8000-00000000A005}', 0, 'odd and late')")
    other.execute("DELETE FROM c WHERE id > 490")
    timer = threading.Timer(0.5, other.commit)
    timer.start()
    rebuild.finish()
    timer.join()
    _same(app)
    assert one(app, "SELECT count(*) FROM p WHERE note LIKE '%late'") == 21
    (swapped,) = rebuild.sets
    assert (swapped.rows_last_drain or 0) >= 21
