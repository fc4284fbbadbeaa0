"""A cutover that the server refuses: what it refuses is named, all of it, with a way out that works."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import column_type, live, one
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, table

from producer.rollback.rollback import roll_back
from replank.values.states import RunState

pytestmark = [pytest.mark.protocol, pytest.mark.usefixtures("event_triggers_fire")]

Begin = Callable[..., Rebuild]

FORBID = """
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not on a Monday'; END $$;
CREATE EVENT TRIGGER forbid ON ddl_command_start WHEN TAG IN ('CREATE TRIGGER', 'CREATE POLICY')
  EXECUTE FUNCTION forbid()
"""


@pytest.fixture
def refused(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Two tables with a trigger, a policy and a function that take their places at the swap, which another forbids."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int, at timestamptz)")
    app.execute("CREATE TABLE u (id text PRIMARY KEY, t_id text REFERENCES t)")
    app.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
    app.execute("CREATE TRIGGER first BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()")
    app.execute("CREATE POLICY second ON u USING (true)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    app.execute("INSERT INTO u SELECT gen_random_uuid()::text, id FROM t")
    fill = {"name": "at", "value": "now()", "stable": False, "on_update": "now()"}
    rebuild = begin(table("t", "id", fill=[fill]), table("u", "id", "t_id"))
    rebuild.ready()
    app.execute(FORBID)
    app.execute("CREATE FUNCTION t_on_update() RETURNS int LANGUAGE sql RETURN 1")
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    return rebuild


NAMED = ("trigger first of public.t", "row security policy second of public.u", "function t_on_update()")


@pytest.mark.attack("C7", "an event trigger and a taken name refuse the swap after all the copying")
def test_what_is_refused_is_named_and_a_retry_goes_on(
    app: psycopg.Connection, refused: Rebuild, attack: Attack
) -> None:
    why = refused.why()
    assert [name for name in NAMED if name not in why] == [], why
    assert "not on a Monday" in why
    assert "replank retry" in why
    assert "replank rollback" in why
    assert column_type(app, live("t"), "id") == "text"
    app.execute("DROP EVENT TRIGGER forbid")
    app.execute("DROP FUNCTION t_on_update()")
    refused.retry()
    refused.finish()
    assert column_type(app, live("t"), "id") == "uuid"
    assert one(app, "SELECT count(*) FROM u JOIN t ON t.id = u.t_id") == 50
    attack.record("named with a way out; nothing swapped", tried=3)


@pytest.mark.attack("C7", "an event trigger and a taken name refuse the swap after all the copying")
def test_the_other_way_out_is_a_rollback(app: psycopg.Connection, refused: Rebuild, attack: Attack) -> None:
    roll_back(refused.connection, say=lambda _: None, sleep=lambda _: None)
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%%'") == 0
    assert column_type(app, live("t"), "id") == "text"
    assert one(app, "SELECT count(*) FROM u JOIN t ON t.id = u.t_id") == 50
    attack.record("rolled back; nothing of it left")
