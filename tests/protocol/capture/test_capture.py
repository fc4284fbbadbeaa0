"""Capture: nothing that changes a row passes it by. The numbers are those of the list of traps."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import psycopg
import pytest
from psycopg import IsolationLevel, errors
from support.oracles.oracle import count, differences, live, on, one, past, traces
from support.runs.harness import Rebuild, table

from producer.planning.table_specs import table_spec
from replank.plan.tables.table_plan import ColumnPlan, TablePlan
from replank.values.states import TableState
from replank.values.table_spec import TableSpec
from sql.catalogue.catalogue import read_tables
from sql.rows import capture
from sql.session.statements import execute

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

ROWS = "INSERT INTO t SELECT gen_random_uuid()::text, g, 'row ' || g FROM generate_series(1, 200) AS g"
STATES = [TableState.CAPTURED, TableState.COPYING, TableState.FIRST_DRAIN, TableState.INDEXING, TableState.READY]
NEW = "gen_random_uuid()::text"


@pytest.fixture
def rebuild(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Table t (id, n, note) with 200 rows; nothing is captured yet."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int UNIQUE, note text)")
    app.execute(ROWS)
    return begin(table("t", "id"))


def _same(app: psycopg.Connection, names: Sequence[str] = ("t",), converted: Sequence[str] = ("id",)) -> None:
    for name in names:
        assert differences(app, past(name), live(name), set(converted)) == [], name


def test_gotcha_09_log_triggers_and_next_table_come_together_or_not_at_all(
    app: psycopg.Connection, other: psycopg.Connection, rebuild: Rebuild
) -> None:
    """A writer's lock keeps the triggers out: then nothing of them is there, and the writer was not disturbed."""
    other.execute("UPDATE t SET n = -n WHERE n = 1")
    rebuild.advance("t")
    present = rebuild.table("t")
    assert present.state is TableState.PLANNED
    assert "lock" in present.problem
    assert traces(app) == ["replank"]
    assert one(app, "SELECT to_regclass('replank.log_1_1')") is None
    other.commit()
    rebuild.pass_time()
    rebuild.advance("t")
    assert rebuild.table("t").state is TableState.CAPTURED
    assert len(traces(app)) == 7
    rebuild.finish()
    _same(app)


def test_gotcha_09_capture_waits_for_every_writer_that_is_under_way(
    app: psycopg.Connection, other: psycopg.Connection, rebuild: Rebuild
) -> None:
    """A transaction that began before capture and writes after it is captured too, however old its snapshot."""
    other.isolation_level = IsolationLevel.REPEATABLE_READ
    other.execute("SELECT 1 FROM pg_class").fetchone()
    rebuild.until(TableState.COPYING)
    other.execute("UPDATE t SET n = -n WHERE n <= 10")
    rebuild.work("copy")
    other.execute("DELETE FROM t WHERE n = 20")
    other.commit()
    assert rebuild.log_length("t") >= 11
    rebuild.finish()
    _same(app)


def test_gotcha_10_a_before_trigger_that_changes_other_columns_is_seen(app: psycopg.Connection, begin: Begin) -> None:
    """Even one that changes the key while the statement names another column."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int, note text)")
    app.execute(ROWS)
    app.execute(
        "CREATE FUNCTION changes() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.note := 'changed'; IF NEW.n = -2 THEN NEW.id := gen_random_uuid()::text; END IF;"
        " RETURN NEW; END $$"
    )
    app.execute("CREATE TRIGGER changes BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION changes()")
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    app.execute("UPDATE t SET n = -n WHERE n IN (1, 2)")
    assert rebuild.log_length("t") == 3
    rebuild.finish()
    _same(app)
    assert one(app, "SELECT count(*) FROM t WHERE note = 'changed'") == 2


def test_gotcha_11_replica_role_does_not_switch_capture_off(app: psycopg.Connection, rebuild: Rebuild) -> None:
    rebuild.until(TableState.COPYING)
    app.execute("SET session_replication_role = replica")
    app.execute("UPDATE t SET note = 'replica' WHERE n <= 10")
    rebuild.ready()
    app.execute("DELETE FROM t WHERE n BETWEEN 11 AND 15")
    app.execute("TRUNCATE t")
    app.execute("INSERT INTO t VALUES (gen_random_uuid()::text, 1, 'after')")
    app.execute("RESET session_replication_role")
    enabled = app.execute("SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgname LIKE 'replank%'").fetchall()
    # The row trigger is logical replication's alone: rows of other sessions are logged once.
    assert sorted(enabled) == [("A",), ("R",)]
    rebuild.finish()
    _same(app)
    assert one(app, "SELECT count(*) FROM t") == 1


def _by_row(rebuild: Rebuild) -> None:
    """Have a table captured by row triggers, as a subscribed one is."""
    spec = replace(rebuild.spec("t"), capture="row")
    rebuild.connection.execute(
        "UPDATE replank.run_table SET spec = jsonb_set(spec, '{capture}', '\"row\"') WHERE run_id = %s",
        [rebuild.run_id],
    )
    assert rebuild.spec("t") == spec


def test_gotcha_12_row_triggers_capture_what_statement_triggers_do(app: psycopg.Connection, rebuild: Rebuild) -> None:
    """Apply workers of logical replication run as replica and fire row triggers only."""
    _by_row(rebuild)
    rebuild.until(TableState.COPYING)
    kinds = app.execute(
        "SELECT tgname, tgtype & 1, tgenabled FROM pg_trigger WHERE tgname LIKE 'replank%' ORDER BY 1"
    ).fetchall()
    assert kinds == [("replank_capture_row", 1, "A"), ("replank_capture_truncate", 0, "A")]
    app.execute("SET session_replication_role = replica")
    app.execute("UPDATE t SET note = 'applied', id = gen_random_uuid()::text WHERE n <= 10")
    rebuild.ready()
    app.execute("DELETE FROM t WHERE n = 11")
    app.execute("INSERT INTO t VALUES (gen_random_uuid()::text, 1000, NULL)")
    app.execute("UPDATE t SET n = n + 1 WHERE n = 1000")
    rebuild.finish()
    _same(app)


def test_gotcha_12_inherited_sources_are_captured_through_parent_and_child(
    app: psycopg.Connection, begin: Begin
) -> None:
    """Children inherit no trigger and are tables of their own, so each has its own triggers and log; TRUNCATE too."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int, note text)")
    app.execute("CREATE TABLE child (extra int, PRIMARY KEY (id)) INHERITS (t)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, 1, 'parent'")
    app.execute("INSERT INTO child SELECT gen_random_uuid()::text, 500, 'child'")
    rebuild = begin(table("t", "id"), table("child", "id"))
    rebuild.until(TableState.CAPTURED)
    for statement, parent, child in (
        ("UPDATE t SET note = 'x' WHERE n = 500", 0, 2),
        ("UPDATE child SET note = 'y'", 0, 2),
        ("INSERT INTO child VALUES (gen_random_uuid()::text, 501)", 0, 1),
        ("UPDATE ONLY t SET note = 'z'", 2, 0),
        ("UPDATE t SET note = 'all'", 2, 4),
        ("DELETE FROM t WHERE n = 501", 0, 1),
        ("TRUNCATE child", 0, 1),
        ("TRUNCATE ONLY t", 1, 0),
        ("TRUNCATE t", 1, 1),
    ):
        before = rebuild.log_length("t"), rebuild.log_length("child")
        app.execute(statement.encode())
        made = rebuild.log_length("t") - before[0], rebuild.log_length("child") - before[1]
        assert made == (parent, child), statement


def _logged(app: psycopg.Connection, spec: TableSpec, statement: str) -> int:
    """How many log rows a statement makes."""
    before = count(app, ("replank", spec.log_name))
    app.execute(statement.encode())
    return count(app, ("replank", spec.log_name)) - before


def test_gotcha_13_a_row_written_straight_into_a_partition_is_captured(app: psycopg.Connection, begin: Begin) -> None:
    """Statement triggers of the parent would not fire; the row triggers are on every partition, sub-partitions too."""
    app.execute("CREATE TABLE t (id text, n int, PRIMARY KEY (id, n)) PARTITION BY RANGE (n)")
    app.execute("CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (100)")
    app.execute("CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (n)")
    app.execute("CREATE TABLE t_higher PARTITION OF t_high FOR VALUES FROM (150) TO (200)")
    app.execute("CREATE TABLE u (id text PRIMARY KEY)")
    rebuild = begin(table("u", "id"))
    (partitioned,) = [each for each in read_tables(rebuild.connection) if each.name == "t"]
    planned = TablePlan(name="t", columns=(ColumnPlan(name="id", to="uuid"),))
    spec = table_spec(rebuild.connection, planned, partitioned, shape="", run_id=rebuild.run_id, table_no=9)
    assert spec.capture == "row"
    with rebuild.connection.transaction():
        execute(rebuild.connection, capture.install(rebuild.connection, spec))
    enabled = app.execute("SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgname LIKE 'replank%'").fetchall()
    assert enabled == [("A",)]
    for statement, logged in (
        ("INSERT INTO t_low VALUES ('a', 1)", 1),
        ("INSERT INTO t_higher VALUES ('b', 160)", 1),
        ("INSERT INTO t VALUES ('c', 2), ('d', 161)", 2),
        ("UPDATE t_low SET id = id || 'x'", 4),
        ("UPDATE t SET n = 162 WHERE n = 1", 2),
        ("DELETE FROM t_high WHERE n = 160", 1),
        ("TRUNCATE t_higher", 1),
        ("TRUNCATE t", 4),
    ):
        assert _logged(app, spec, statement) == logged, statement
    with rebuild.connection.transaction():
        execute(rebuild.connection, capture.remove(spec))
    assert one(app, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'replank%'") == 0


STATEMENTS = {
    "upsert": (
        "INSERT INTO t SELECT id, n + 5000, 'upserted' FROM t WHERE n <= 5"
        " ON CONFLICT (id) DO UPDATE SET n = excluded.n, note = excluded.note",
        "INSERT INTO t VALUES (gen_random_uuid()::text, 7, 'other key') ON CONFLICT (n) DO UPDATE SET note = 'hit'",
        "INSERT INTO t VALUES (gen_random_uuid()::text, 8, 'nothing') ON CONFLICT DO NOTHING",
    ),
    "merge": (
        "MERGE INTO t USING (SELECT * FROM generate_series(195, 205) AS g) AS s ON t.n = s.g"
        " WHEN MATCHED AND t.n = 195 THEN DELETE WHEN MATCHED THEN UPDATE SET note = 'merged'"
        " WHEN NOT MATCHED THEN INSERT VALUES (gen_random_uuid()::text, s.g, 'new')",
    ),
    "writable_cte": (
        "WITH gone AS (DELETE FROM t WHERE n <= 10 RETURNING *), made AS"
        " (INSERT INTO t SELECT gen_random_uuid()::text, 10000 + n, 'moved' FROM gone RETURNING *)"
        " UPDATE t SET note = 'counted' FROM (SELECT count(*) AS c FROM made) AS m WHERE t.n = m.c + 10",
    ),
    "key_change": (
        "UPDATE t SET id = gen_random_uuid()::text WHERE n <= 10",
        "UPDATE t SET id = upper(id) WHERE n BETWEEN 11 AND 20",
    ),
    "swapped_rows": (
        "DELETE FROM t WHERE n IN (1, 2)",
        "INSERT INTO t VALUES (gen_random_uuid()::text, 2, 'was 1'), (gen_random_uuid()::text, 1, 'was 2')",
    ),
    "swapped_unique_values": ("UPDATE t SET n = CASE n WHEN 3 THEN -4 ELSE -3 END WHERE n IN (3, 4)",),
    "a_function": ("DO $$ BEGIN FOR i IN 1..5 LOOP UPDATE t SET note = 'loop' WHERE n = i; END LOOP; END $$",),
    "no_row": ("UPDATE t SET note = 'none' WHERE false", "DELETE FROM t WHERE n = -1"),
}


def test_gotcha_13_16_every_way_to_write_is_captured_at_every_stage(app: psycopg.Connection, begin: Begin) -> None:
    """One table for each way."""
    for name in STATEMENTS:
        on(app, name, "CREATE TABLE {t} (id text PRIMARY KEY, n int UNIQUE, note text)")
        on(app, name, ROWS.replace("INTO t", "INTO {t}"))
    rebuild = begin(*[table(name, "id") for name in STATEMENTS])
    for state in STATES:
        rebuild.until(state)
        for name, statements in STATEMENTS.items():
            for statement in statements:
                app.execute(re.sub(r"\bt\b", name, statement).encode())
            on(app, name, "DELETE FROM {t} WHERE n > 5000 AND n % 2 = 0")
    rebuild.finish()
    _same(app, list(STATEMENTS))


def test_gotcha_13_copy_is_captured(app: psycopg.Connection, rebuild: Rebuild) -> None:
    for number, state in enumerate(STATES):
        rebuild.until(state)
        with app.cursor().copy("COPY t FROM STDIN") as copy:
            for n in range(20):
                copy.write_row((f"0fd00f6b-0000-4000-8000-{number:06}{n:06}", 1000 * (number + 1) + n, None))
    rebuild.finish()
    _same(app)
    assert one(app, "SELECT count(*) FROM t") == 200 + 20 * len(STATES)


def test_gotcha_13_foreign_key_cascades_are_captured(app: psycopg.Connection, begin: Begin) -> None:
    """ON DELETE CASCADE, ON DELETE SET NULL and ON UPDATE CASCADE write rows that no statement names."""
    app.execute("CREATE TABLE p (id text PRIMARY KEY, n int)")
    app.execute("CREATE TABLE gone (id text PRIMARY KEY, p text REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE)")
    app.execute("CREATE TABLE kept (id int PRIMARY KEY, p text REFERENCES p ON DELETE SET NULL ON UPDATE CASCADE)")
    app.execute("INSERT INTO p SELECT gen_random_uuid()::text, g FROM generate_series(1, 60) AS g")
    app.execute("INSERT INTO gone SELECT gen_random_uuid()::text, id FROM p")
    app.execute("INSERT INTO kept SELECT n, id FROM p")
    rebuild = begin(table("p", "id"), table("gone", "id", "p"), table("kept", "p"))
    for number, state in enumerate(STATES):
        rebuild.until(state)
        app.execute("DELETE FROM p WHERE n BETWEEN %s AND %s", [number * 10, number * 10 + 4])
        app.execute(
            "UPDATE p SET id = gen_random_uuid()::text WHERE n BETWEEN %s AND %s", [number * 10 + 5, number * 10 + 9]
        )
    rebuild.finish()
    _same(app, ("p",), ("id",))
    _same(app, ("gone",), ("id", "p"))
    _same(app, ("kept",), ("p",))
    assert one(app, "SELECT count(*) FROM kept WHERE p IS NULL") == 24
    with pytest.raises(errors.ForeignKeyViolation):
        app.execute("UPDATE kept SET p = gen_random_uuid()")


SEVEN = "INSERT INTO {t} SELECT gen_random_uuid()::text, g, 'new' FROM generate_series(1, 7) AS g"
AFTER_TRUNCATE = ("nothing", "rows", "in_one_transaction", "nothing_by_key", "rows_by_key")


@pytest.mark.parametrize("state", [TableState.PLANNED, TableState.COPYING, TableState.INDEXING, TableState.READY])
def test_gotcha_14_truncate_empties_next_too(app: psycopg.Connection, begin: Begin, state: TableState) -> None:
    """Before, during and after the copy, on both axes; what is inserted afterwards stays."""
    for name in AFTER_TRUNCATE:
        on(app, name, "CREATE TABLE {t} (id text PRIMARY KEY, n int, note text)")
        on(app, name, ROWS.replace("INTO t", "INTO {t}"))
    by_key = [table(name, "id", axis="primary_key") for name in AFTER_TRUNCATE if name.endswith("by_key")]
    by_heap = [table(name, "id", axis="heap") for name in AFTER_TRUNCATE if not name.endswith("by_key")]
    rebuild = begin(*by_key, *by_heap, chunk_mb=1)
    rebuild.until(state)
    for name in AFTER_TRUNCATE:
        on(app, name, "UPDATE {t} SET note = 'logged before' WHERE n < 5")
        if name == "in_one_transaction":
            with app.transaction():
                on(app, name, "TRUNCATE {t}")
                on(app, name, SEVEN)
            continue
        on(app, name, "TRUNCATE {t}")
        if name.startswith("rows"):
            on(app, name, SEVEN)
    rebuild.finish()
    _same(app, AFTER_TRUNCATE)
    for name in AFTER_TRUNCATE:
        assert count(app, live(name)) == (0 if name.startswith("nothing") else 7)


def test_gotcha_14_a_truncate_that_is_rolled_back_is_nothing(
    app: psycopg.Connection, other: psycopg.Connection, rebuild: Rebuild
) -> None:
    for state in (TableState.COPYING, TableState.READY):
        rebuild.until(state)
        other.execute("TRUNCATE t")
        other.execute("INSERT INTO t VALUES (gen_random_uuid()::text, 1, 'never')")
        other.rollback()
    rebuild.finish()
    _same(app)
    assert one(app, "SELECT count(*) FROM t") == 200


def test_gotcha_16_a_key_change_is_a_delete_and_an_insert(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin
) -> None:
    """Of either part of a composite key, with a later transaction that takes the old key again."""
    app.execute("CREATE TABLE t (a text, b int, n int, PRIMARY KEY (a, b))")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g % 3, g FROM generate_series(1, 99) AS g")
    rebuild = begin(table("t", "a"))
    for state in STATES:
        rebuild.until(state)
        app.execute("UPDATE t SET b = b + 10 WHERE n % 10 = 0")
        app.execute("UPDATE t SET a = gen_random_uuid()::text WHERE n % 10 = 1")
        other.execute("INSERT INTO t SELECT a, b - 10, -n FROM t WHERE b >= 10 ON CONFLICT DO NOTHING")
        other.commit()
    rebuild.finish()
    _same(app, ("t",), ("a",))


def test_gotcha_17_the_applications_triggers_do_not_fire_because_of_us(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int, note text)")
    app.execute("CREATE TABLE fired (what text)")
    app.execute(ROWS)
    app.execute(
        "CREATE FUNCTION notes() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO public.fired VALUES (TG_OP || ' ' || TG_TABLE_SCHEMA); RETURN NEW; END $$"
    )
    app.execute("CREATE TRIGGER notes BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION notes()")
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    app.execute("UPDATE t SET n = -n WHERE n = 1")
    rebuild.finish()
    app.execute("UPDATE t SET n = -n WHERE n = 2")
    assert app.execute("SELECT what FROM fired").fetchall() == [("UPDATE public",), ("UPDATE public",)]


def test_a_role_that_knows_nothing_of_the_ledger_writes_as_before(app: psycopg.Connection, begin: Begin) -> None:
    """The capture function has its owner's rights, and its own search_path."""
    app.execute("CREATE ROLE protocol_writer")
    try:
        app.execute("CREATE TABLE t (id text PRIMARY KEY, n int, note text)")
        app.execute(ROWS)
        app.execute("GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON t TO protocol_writer")
        rebuild = begin(table("t", "id"))
        for state in (TableState.COPYING, TableState.INDEXING, TableState.READY):
            rebuild.until(state)
            app.execute("SET ROLE protocol_writer")
            app.execute("SET search_path = pg_temp, public")
            app.execute("UPDATE t SET note = %s WHERE n <= 3", [str(state)])
            with pytest.raises(errors.InsufficientPrivilege):
                app.execute("SELECT * FROM replank.run")
            app.execute("RESET ROLE")
            app.execute("RESET search_path")
        rebuild.finish()
        _same(app)
        app.execute("SET ROLE protocol_writer")
        app.execute("UPDATE t SET note = 'after' WHERE n <= 3")
    finally:
        app.execute("RESET ROLE")
        app.execute("DROP OWNED BY protocol_writer")
        app.execute("DROP ROLE protocol_writer")
