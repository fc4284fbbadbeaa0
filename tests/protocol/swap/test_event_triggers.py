"""Event triggers of the application: they fire for the run's own DDL, unless the role may switch them off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from support.oracles.oracle import count, differences, live, one, past
from support.oracles.returning import everything_left
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, table

from producer.check.check import audit
from producer.check.findings import Finding
from producer.check.values.progress import ScanWatch
from producer.planning.resolution import PlanFile
from producer.rollback.rollback import roll_back_through
from replank.errors import NeedsOperator
from replank.plan.plan import Plan
from replank.settings import Settings
from replank.values.states import RunState, TableState
from sql.session.connection import connect

pytestmark = [pytest.mark.protocol, pytest.mark.core]

Begin = Callable[..., Rebuild]

TABLE = """
CREATE TABLE t (id text PRIMARY KEY, n int);
INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 200) AS g;
CREATE TABLE entries (relation text);
GRANT ALL ON entries TO PUBLIC;
CREATE FUNCTION entry() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO public.entries VALUES (TG_RELID::regclass::text); RETURN NULL; END'
"""
EVERY_TABLE = """
CREATE FUNCTION dresses() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record;
BEGIN
  FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' LOOP
    EXECUTE format({does}, made.objid::regclass);
  END LOOP;
END $$;
CREATE EVENT TRIGGER dresser ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS')
  EXECUTE FUNCTION dresses()
"""
AUDITED = "'CREATE TRIGGER audited AFTER INSERT OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION public.entry()'"
HIDDEN = "'ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'"
WIDER = "'ALTER TABLE %s ADD COLUMN created_at timestamptz DEFAULT now()'"
INDEXED = "'CREATE INDEX ON %s ((1))'"
NO_DROP = """
CREATE FUNCTION keeps() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'nothing is dropped here'; END $$;
CREATE EVENT TRIGGER keeper ON sql_drop EXECUTE FUNCTION keeps()
"""
SLOW = """
CREATE FUNCTION sleeps() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); END $$;
CREATE EVENT TRIGGER sleeper ON ddl_command_end EXECUTE FUNCTION sleeps()
"""


@pytest.fixture
def owner(database: Url, app: psycopg.Connection) -> Iterator[Url]:
    """The URL of a role that owns the tables and may not switch event triggers off."""
    app.execute(TABLE)
    app.execute("CREATE ROLE keeper_of_tables LOGIN PASSWORD 'secret'")
    app.execute(f"GRANT CREATE ON DATABASE {app.info.dbname} TO keeper_of_tables".encode())
    app.execute("GRANT CREATE ON SCHEMA public TO keeper_of_tables")
    app.execute("ALTER TABLE t OWNER TO keeper_of_tables; GRANT pg_read_all_stats TO keeper_of_tables")
    yield make_conninfo(database, user="keeper_of_tables", password="secret")
    for name in ("dresser", "keeper", "sleeper"):
        app.execute(f"DROP EVENT TRIGGER IF EXISTS {name}".encode())
    app.execute("DROP OWNED BY keeper_of_tables CASCADE; DROP ROLE keeper_of_tables")


def can_be_switched_off(app: psycopg.Connection) -> bool:
    """From version 17 on, by a superuser."""
    return app.info.server_version >= 170000


class _Unwatched(ScanWatch):
    def begin(self, *, blocks: int) -> None: ...

    def scanned(self, table: str, *, table_blocks: int, blocks: int, rows: int) -> None: ...


def _check(url: Url, database: str, **options: Any) -> list[Finding]:
    plan = Plan.model_validate(
        {
            "database": {"name": database},
            "options": options,
            "tables": [{"name": "t", "columns": [{"name": "id", "to": "uuid"}]}],
        }
    )
    file = PlanFile(plan=plan, source="plan.toml", text="")
    report = audit(Settings(database_url=SecretStr(url)), file, workers=1, watch=_Unwatched())
    return [*report.blockers, *report.warnings]


@pytest.mark.attack("D2", "an event trigger dresses every new table: audit trigger, row security, column, index")
@pytest.mark.parametrize("does", [AUDITED, HIDDEN, WIDER, INDEXED], ids=["trigger", "security", "column", "index"])
def test_a_superuser_switches_them_off(app: psycopg.Connection, begin: Begin, does: str, attack: Attack) -> None:
    app.execute(TABLE)
    before = app.execute("SELECT relrowsecurity, relhastriggers FROM pg_class WHERE oid = 't'::regclass").fetchone()
    app.execute(EVERY_TABLE.replace("{does}", does).encode())
    if not can_be_switched_off(app):
        with pytest.raises(NeedsOperator, match="dresser"):
            begin(table("t", "id"))
        attack.record("nobody can before version 17: refused by name before the first row")
        return
    rebuild = begin(table("t", "id"))
    rebuild.until(TableState.COPYING)
    app.execute("UPDATE t SET n = -n WHERE n < 20")
    rebuild.finish()
    assert differences(app, past("t"), live("t"), ["id"]) == []
    assert count(app, live("entries")) == 0
    after = app.execute(
        "SELECT relrowsecurity, EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname NOT LIKE 'replank%')"
        " FROM pg_class c WHERE oid = 't'::regclass"
    ).fetchone()
    assert after == before
    attack.record("switched off for our own DDL; nothing in next, no false entry")


@pytest.mark.attack("D2", "the same where the role may not switch event triggers off")
def test_where_they_fire_a_dressed_table_is_refused(app: psycopg.Connection, owner: Url, attack: Attack) -> None:
    """By name, before a row is copied; `check` says so too."""
    for does, what in (
        (AUDITED, "trigger audited"),
        (HIDDEN, "row security"),
        (WIDER, "column created_at"),
        (INDEXED, "index"),
    ):
        app.execute(EVERY_TABLE.replace("{does}", does).encode())
        found = _check(owner, app.info.dbname)
        said = [f.words for f in found if f.blocks]
        assert any(what in words and "dresser" in words for words in said), said
        with pytest.raises(NeedsOperator, match="dresser"):
            Rebuild.begin(owner, [table("t", "id")], {})
        app.execute("DROP EVENT TRIGGER dresser; DROP FUNCTION dresses()")
        # One that comes when the run has begun
        rebuild = Rebuild.begin(owner, [table("t", "id")], {})
        app.execute(EVERY_TABLE.replace("{does}", does).encode())
        for _ in range(3):
            rebuild.turn()
        assert rebuild.table("t").blocked
        assert what in rebuild.table("t").problem
        assert "dresser" in rebuild.table("t").problem
        app.execute("DROP EVENT TRIGGER dresser; DROP FUNCTION dresses()")
        rebuild.retry()
        roll_back_through(lambda: connect(owner, name="rollback"), say=lambda _: None)
        rebuild.close()
        attack.record("refused by name before the first row")
    assert count(app, live("entries")) == 0


MOVED = """
CREATE OR REPLACE FUNCTION hides() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record;
BEGIN
  FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.t' LOOP
    IF (SELECT atttypid = '{type}'::regtype AND NOT relrowsecurity FROM pg_class c, pg_attribute
         WHERE c.oid = made.objid AND attrelid = c.oid AND attname = 'id') THEN
      EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', made.objid::regclass);
    END IF;
  END LOOP;
END $$
"""


@pytest.mark.attack("D2", "an event trigger hides the rows of the table that has just taken its place")
def test_what_a_swap_would_bring_about_is_looked_at(app: psycopg.Connection, owner: Url, attack: Attack) -> None:
    rebuild = Rebuild.begin(owner, [table("t", "id")], {})
    rebuild.ready()
    app.execute(MOVED.replace("{type}", "uuid").encode())
    app.execute("CREATE EVENT TRIGGER dresser ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION hides()")
    rebuild.settle()
    assert "row security of public.t" in rebuild.why() + "".join(one.problem for one in rebuild.sets)
    assert one(app, "SELECT relrowsecurity FROM pg_class WHERE oid = 't'::regclass") is False
    app.execute("ALTER EVENT TRIGGER dresser DISABLE")
    rebuild.retry()
    rebuild.finish()
    app.execute(MOVED.replace("{type}", "text").encode())
    app.execute("ALTER EVENT TRIGGER dresser ENABLE")
    with pytest.raises(NeedsOperator, match=r"row security of public.t.*dresser"):
        roll_back_through(lambda: connect(owner, name="rollback"), say=lambda _: None)
    app.execute("DROP EVENT TRIGGER dresser")
    roll_back_through(lambda: connect(owner, name="rollback"), say=lambda _: None)
    rebuild.close()
    assert one(app, "SELECT relrowsecurity FROM pg_class WHERE oid = 't'::regclass") is False
    assert everything_left(app) == []
    attack.record("neither the cutover nor the rollback was made; both named it and went on later", tried=2)


def test_check_names_every_event_trigger(app: psycopg.Connection, owner: Url, database: Url) -> None:
    app.execute(SLOW)
    app.execute(NO_DROP)
    app.execute("ALTER EVENT TRIGGER keeper DISABLE")
    named = {f.details["event_trigger"]: f for f in _check(owner, app.info.dbname) if f.code == "event_trigger"}
    assert sorted(named) == ["keeper", "sleeper"]
    assert "sql_drop" in named["keeper"].message
    assert "disabled" in named["keeper"].message
    assert "public.sleeps" in named["sleeper"].message
    assert "has no right to disable it" in named["sleeper"].message
    assert not any(f.blocks for f in named.values())
    by_superuser = [f for f in _check(database, app.info.dbname) if f.code == "event_trigger"]
    says = "Replank disables it" if can_be_switched_off(app) else "has no right to disable it"
    assert says in next(f for f in by_superuser if f.details["event_trigger"] == "sleeper").message


def test_a_slow_one_is_timed(app: psycopg.Connection, owner: Url) -> None:
    app.execute(SLOW)
    (slow,) = [f for f in _check(owner, app.info.dbname) if f.code == "event_triggers_slow"]
    assert slow.details["statement_ms"] >= 20
    assert slow.details["statements"] >= 2
    assert slow.details["swap_ms"] >= 20 * slow.details["statements"]
    assert not slow.blocks
    (slow,) = [f for f in _check(owner, app.info.dbname, cutover_hold_budget_ms=50) if f.code == "event_triggers_slow"]
    assert slow.blocks
    assert "cutover_hold_budget_ms" in slow.words


@pytest.mark.attack("D2", "an event trigger that refuses every DROP")
def test_one_that_refuses_every_drop(app: psycopg.Connection, owner: Url, attack: Attack) -> None:
    app.execute(NO_DROP)
    (refused,) = [f for f in _check(owner, app.info.dbname) if f.code == "event_trigger_refuses"]
    assert refused.blocks
    assert "by event trigger keeper: nothing is dropped here" in refused.message
    assert {"DROP TABLE", "DROP TRIGGER", "DROP FUNCTION", "DROP SCHEMA"} <= set(refused.details["commands"])
    with pytest.raises(NeedsOperator, match="event_trigger_refuses"):
        Rebuild.begin(owner, [table("t", "id")], {})
    app.execute("ALTER EVENT TRIGGER keeper DISABLE")
    rebuild = Rebuild.begin(owner, [table("t", "id")], {})
    rebuild.ready()
    app.execute("ALTER EVENT TRIGGER keeper ENABLE")
    # Words where the rollback meets it, and the same command goes on when it has gone
    with pytest.raises(NeedsOperator, match=r"keeper.*replank rollback"):
        roll_back_through(lambda: connect(owner, name="rollback"), say=lambda _: None)
    app.execute("DROP EVENT TRIGGER keeper")
    roll_back_through(lambda: connect(owner, name="rollback"), say=lambda _: None)
    rebuild.close()
    assert everything_left(app) == []
    assert one(app, "SELECT count(*) FROM t") == 200
    attack.record("named by check and by run; a rollback that meets it says so and goes on later", lost=0)


def test_the_run_names_one_that_came_after_its_start(app: psycopg.Connection, owner: Url) -> None:
    """Wherever the run meets it, after the cutover or at its end, it stops with the name, and goes on afterwards."""
    app.execute(NO_DROP)
    app.execute("ALTER EVENT TRIGGER keeper DISABLE")
    rebuild = Rebuild.begin(owner, [table("t", "id")], {})
    rebuild.ready()
    app.execute("ALTER EVENT TRIGGER keeper ENABLE")
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "nothing is dropped here" in rebuild.why()
    assert "event trigger keeper" in rebuild.why()
    assert '`ALTER EVENT TRIGGER "keeper" DISABLE`' in rebuild.why()
    assert rebuild.why().count("keeper") == 2
    app.execute("ALTER EVENT TRIGGER keeper DISABLE")
    rebuild.retry()
    rebuild.until(TableState.DONE)
    app.execute("ALTER EVENT TRIGGER keeper ENABLE")
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "event trigger keeper" in rebuild.why()
    app.execute("DROP EVENT TRIGGER keeper")
    rebuild.retry()
    rebuild.finish()
    rebuild.close()
    assert one(app, "SELECT pg_typeof(id)::text FROM t LIMIT 1") == "uuid"


def test_one_in_the_way_of_capture_is_named(app: psycopg.Connection, owner: Url) -> None:
    rebuild = Rebuild.begin(owner, [table("t", "id")], {})
    app.execute(NO_DROP.replace("ON sql_drop", "ON ddl_command_end").replace("nothing is dropped", "no DDL"))
    rebuild.turn()
    assert rebuild.table("t").blocked
    assert "no DDL here" in rebuild.table("t").problem
    assert "event trigger keeper" in rebuild.table("t").problem
    app.execute("DROP EVENT TRIGGER keeper")
    rebuild.retry()
    rebuild.finish()
    rebuild.close()


def test_an_error_of_something_else_blames_no_event_trigger(app: psycopg.Connection, owner: Url) -> None:
    app.execute(SLOW)
    rebuild = Rebuild.begin(owner, [table("t", "id")], {})
    app.execute("CREATE SCHEMA replank_next AUTHORIZATION keeper_of_tables; CREATE TABLE replank_next.t (n int)")
    rebuild.turn()
    assert rebuild.table("t").blocked
    assert "sleeper" not in rebuild.table("t").problem
    app.execute("DROP TABLE replank_next.t")
    rebuild.retry()
    rebuild.finish()
    rebuild.close()
