"""Step 03: every change of every table is captured, with who did it."""

from collections.abc import Callable

import psycopg
import pytest

from producer.scripts.run_script import ScriptRunner
from steps.conftest import Compile

pytestmark = pytest.mark.catalogue

Captured = list[tuple[object, ...]]
Log = Callable[[], Captured]


@pytest.fixture
def log(app: psycopg.Connection, compiled: Compile, runner: ScriptRunner) -> Log:
    """What was captured since it was asked for the last time."""
    runner.run(compiled(3, audit_log={"keep": "2 months"}).forward)

    def read() -> Captured:
        return app.execute(
            "WITH gone AS (DELETE FROM audit.audit_log RETURNING *)"
            " SELECT table_name, action, row_key, old_row, new_row, actor, request_id FROM gone ORDER BY id"
        ).fetchall()

    return read


def test_old_and_new_rows_with_actor_and_request(app: psycopg.Connection, log: Log) -> None:
    with app.transaction():
        app.execute("SET LOCAL app.actor = 'u-17'; SET LOCAL app.request_id = 'r-1'")
        app.execute("INSERT INTO tenant VALUES ('t9', 'Nine')")
        app.execute("UPDATE tenant SET name = 'Neuf' WHERE id = 't9'")
    app.execute("DELETE FROM tenant WHERE id = 't9'")
    nine, neuf = {"id": "t9", "name": "Nine"}, {"id": "t9", "name": "Neuf"}
    assert log() == [
        ("tenant", "insert", {"id": "t9"}, None, nine, "u-17", "r-1"),
        ("tenant", "update", {"id": "t9"}, nine, neuf, "u-17", "r-1"),
        ("tenant", "delete", {"id": "t9"}, neuf, None, None, None),
    ]


def test_every_kind_of_write_is_captured(app: psycopg.Connection, log: Log) -> None:
    app.execute("INSERT INTO tenant VALUES ('t1', 'again') ON CONFLICT (id) DO UPDATE SET name = excluded.name")
    app.execute("UPDATE account SET tenant_id = 't2' WHERE id IN ('a1', 'a2')")
    with app.cursor().copy("COPY tenant FROM STDIN") as copy:
        copy.write_row(("t8", "Eight"))
    app.execute("UPDATE tenant SET id = 't7' WHERE id = 't8'")
    app.execute("INSERT INTO \"userEvents\" (at) VALUES ('2026-03-03')")
    told = [(name, action, key) for name, action, key, *_ in log()]
    assert told[:5] == [
        ("tenant", "update", {"id": "t1"}),
        ("account", "update", {"id": "a1"}),
        ("account", "update", {"id": "a2"}),
        ("tenant", "insert", {"id": "t8"}),
        ("tenant", "update", {"id": "t8"}),
    ]
    assert told[5] == ("tenant", "update", {"id": "t7"})
    assert told[6][0:2] == ("userEvents", "insert")

    # Cascades too, with the composite keys of their rows; and TRUNCATE is a word of its own.
    rows = app.execute("SELECT count(*) FROM membership WHERE tenant_id = 't3'").fetchone()
    app.execute('UPDATE "userEvents" SET account_id = NULL')
    app.execute("DELETE FROM tenant WHERE id = 't3'")
    told = [(name, action, key) for name, action, key, *_ in log()]
    members = [key for name, action, key in told if (name, action) == ("membership", "delete")]
    assert rows == (len(members),)
    assert all(set(key) == {"account_id", "tenant_id"} for key in members if isinstance(key, dict))
    app.execute("TRUNCATE role_permission")
    assert [(name, action) for name, action, *_ in log()] == [("role_permission", "truncate")]


@pytest.mark.usefixtures("log")
def test_clients_need_no_right_on_the_log(app: psycopg.Connection) -> None:
    app.execute("CREATE ROLE clerk_of_steps; GRANT SELECT, INSERT ON tenant TO clerk_of_steps")
    try:
        app.execute("SET SESSION AUTHORIZATION clerk_of_steps")
        app.execute("INSERT INTO tenant VALUES ('t6', 'Six')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("DELETE FROM audit.audit_log")
        app.execute("RESET SESSION AUTHORIZATION")
        user = app.execute("SELECT database_user FROM audit.audit_log").fetchall()
        assert user == [("clerk_of_steps",)]
    finally:
        app.execute("RESET SESSION AUTHORIZATION; DROP OWNED BY clerk_of_steps; DROP ROLE clerk_of_steps")


def test_retention_takes_away_whole_months_and_makes_those_to_come(app: psycopg.Connection, log: Log) -> None:
    assert log() == []
    app.execute(
        "CREATE TABLE audit.audit_log_2001_01 PARTITION OF audit.audit_log"
        " FOR VALUES FROM ('2001-01-01 00:00+00') TO ('2001-02-01 00:00+00');"
        "INSERT INTO audit.audit_log (created_at, table_schema, table_name, action)"
        " VALUES ('2001-01-05', 'x', 'y', 'insert'), ('2000-01-05', 'x', 'y', 'insert');"
        "INSERT INTO audit.security_event (created_at, kind) VALUES ('2001-01-05', 'login'), (now(), 'login')"
    )
    app.execute("SELECT audit.retain()")
    assert app.execute("SELECT to_regclass('audit.audit_log_2001_01')").fetchone() == (None,)
    assert app.execute("SELECT count(*) FROM audit.audit_log").fetchone() == (0,)
    assert app.execute("SELECT count(*) FROM audit.security_event").fetchone() == (1,)
    months = app.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit.audit_log'::regclass").fetchone()
    assert months == (1 + 4,)


@pytest.mark.usefixtures("log")
def test_rows_of_a_month_go_to_its_partition(app: psycopg.Connection) -> None:
    app.execute("INSERT INTO tenant VALUES ('t5x', 'Five')")
    found = app.execute(
        "SELECT tableoid::regclass::text = 'audit.audit_log_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')"
        " FROM audit.audit_log"
    ).fetchall()
    assert found == [(True,)]
