"""Backfill in place: live tables get their values while the application writes; plain SQL computes the same."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from support.oracles.journal_oracle import diff_catalogue, snapshot_catalogue
from support.oracles.oracle import count, live, one
from support.runs.harness import Rebuild, Url, table

from producer.rollback.rollback import roll_back
from producer.stages.backfill_stages import FIRST_KEYS, MOST_KEYS, next_keys
from replank.errors import NeedsOperator, WrongUse
from replank.values.states import RunState, TableState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

SHOP = """
CREATE TABLE entry (row_id text NOT NULL, actor text NOT NULL);
CREATE TABLE doc (id text COLLATE "C", part int, title text, created_at timestamptz,
  updated_at timestamptz DEFAULT now(), n int, PRIMARY KEY (part, id));
INSERT INTO doc SELECT 'Ä' || md5(g::text), g % 7, 'title ' || g, CASE WHEN g % 3 = 0 THEN timestamptz '2020-01-01' END,
    timestamptz '2021-01-01', g FROM generate_series(1, 5000) AS g;
INSERT INTO entry SELECT id, 'actor ' || n % 5 FROM doc WHERE n % 2 = 0;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION touch();
ANALYZE doc
"""
DOC: dict[str, Any] = {
    "method": "backfill",
    "join": [{"name": "first", "query": "SELECT row_id, actor FROM public.entry", "on": "first.row_id = live.id"}],
    "fill": [
        {"name": "created_at", "value": "timestamptz '2019-05-05 00:00Z'", "default": "now()", "not_null": True},
    ],
    "add": [
        {"name": "created_by", "type": "text", "value": "first.actor"},
        {"name": "public_id", "type": "uuid", "default": "gen_random_uuid()", "not_null": True, "unique": True},
        {"name": "revision", "type": "integer", "default": "1", "not_null": True, "on_update": "OLD.revision + 1"},
        {"name": "deleted_at", "type": "timestamptz"},
        {"name": "twice", "type": "bigint", "value": "live.n * 2"},
    ],
}
WRONG = """
SELECT count(*) FROM doc d LEFT JOIN entry e ON e.row_id = d.id
 WHERE d.created_by IS DISTINCT FROM e.actor OR d.public_id IS NULL OR d.revision IS NULL OR d.deleted_at IS NOT NULL
    OR d.twice IS DISTINCT FROM d.n * 2
    OR (d.n BETWEEN 1 AND 5000 AND d.title LIKE 'title%'
        AND d.created_at <> CASE WHEN d.n % 3 = 0 THEN timestamptz '2020-01-01' ELSE '2019-05-05 00:00Z' END)
"""

TOUCHED = """
SELECT count(*) FROM doc WHERE updated_at <> '2021-01-01'
   AND title LIKE 'title%' AND n <= 5000 AND n NOT BETWEEN 3000 AND 3010 AND n % 100 <> 0
"""


@pytest.fixture
def docs(app: psycopg.Connection) -> None:
    for statement in SHOP.split(";\n"):
        app.execute(statement.encode())


def _file(app: psycopg.Connection) -> object:
    return one(app, "SELECT pg_relation_filenode('doc')")


@pytest.mark.usefixtures("docs")
def test_every_row_gets_its_values_and_nobody_else_notices(app: psycopg.Connection, begin: Begin) -> None:
    before = _file(app)
    rebuild = begin(table("doc", **DOC))
    rebuild.until(TableState.BACKFILLING)
    # Given writes before, between and after the chunks, also into the new columns
    app.execute("INSERT INTO doc (id, part, n) VALUES ('new 1', 1, 6001)")
    app.execute("UPDATE doc SET n = n + 10000, title = 'moved' WHERE n BETWEEN 100 AND 120")
    rebuild.advance("doc")
    for job_id in rebuild.jobs("backfill")[:3]:
        rebuild.execute(job_id)
    app.execute("UPDATE entry SET row_id = row_id || 'x' WHERE row_id IN (SELECT id FROM doc WHERE n % 100 = 0)")
    app.execute("UPDATE doc SET id = id || 'x' WHERE n % 100 = 0")
    app.execute("UPDATE doc SET created_at = NULL WHERE n BETWEEN 3000 AND 3010 AND n % 3 <> 0")
    app.execute("DELETE FROM doc WHERE n = 9")
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM doc") == 5000
    assert one(app, WRONG) == 0
    # Then it is the same table, and the application's own trigger has seen only the application
    assert _file(app) == before
    assert one(app, TOUCHED) == 0
    constraint = "SELECT contype::text FROM pg_constraint WHERE conname = 'doc_public_id_key'"
    assert one(app, constraint) == "u"
    with pytest.raises(errors.NotNullViolation):
        app.execute("UPDATE doc SET public_id = NULL")
    app.execute("UPDATE doc SET title = 'again' WHERE n = 1")
    assert one(app, "SELECT revision FROM doc WHERE n = 1") == 2
    assert one(app, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'replank%'") == 0
    assert one(app, "SELECT count(*) FROM pg_constraint WHERE conname LIKE '%replank%'") == 0


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize("state", [TableState.EXTENDED, TableState.BACKFILLING, TableState.CONSTRAINING])
def test_rollback_before_the_end_leaves_nothing(
    app: psycopg.Connection, begin: Begin, database: Url, state: TableState
) -> None:
    """Not a column, not a value: what the application wrote meanwhile stays."""
    before = snapshot_catalogue(database, ["public"])
    rows = app.execute("SELECT * FROM doc ORDER BY part, id").fetchall()
    rebuild = begin(table("doc", **DOC))
    rebuild.until(state)
    rebuild.work("backfill")
    roll_back(rebuild.connection, say=lambda _: None, sleep=lambda _: None)
    assert diff_catalogue(before, snapshot_catalogue(database, ["public"])) == []
    assert app.execute("SELECT * FROM doc ORDER BY part, id").fetchall() == rows
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0


@pytest.mark.usefixtures("docs")
def test_rollback_keeps_what_the_application_wrote(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = begin(table("doc", **DOC))
    rebuild.until(TableState.CONSTRAINING)
    app.execute("UPDATE doc SET created_at = '2022-02-02' WHERE n = 1")
    app.execute("UPDATE doc SET title = 'other' WHERE n = 2")
    roll_back(rebuild.connection, say=lambda _: None, sleep=lambda _: None)
    kept = app.execute("SELECT created_at IS NULL FROM doc WHERE n IN (1, 2, 4) ORDER BY n").fetchall()
    assert kept == [(False,), (True,), (True,)]
    assert one(app, "SELECT title FROM doc WHERE n = 2") == "other"


@pytest.mark.usefixtures("docs")
def test_a_constant_default_writes_no_row(app: psycopg.Connection, begin: Begin) -> None:
    """And one that is another for each row does not rewrite the table under its lock."""
    app.execute("VACUUM doc")
    before = _file(app)
    written = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'doc'"
    rebuild = begin(
        table("doc", method="backfill", add=[{"name": "tenant", "type": "text", "default": "'main'", "not_null": True}])
    )
    rebuild.finish()
    app.execute("SELECT pg_stat_force_next_flush()")
    assert one(app, written) == 0
    assert one(app, "SELECT count(*) FROM doc WHERE tenant = 'main'") == 5000
    assert _file(app) == before


@pytest.mark.usefixtures("docs")
def test_an_expression_that_fails_for_new_rows_breaks_no_write(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = begin(
        table(
            "doc",
            method="backfill",
            add=[{"name": "x", "type": "int", "value": "replace(live.title, 'title ', '')::int"}],
        )
    )
    rebuild.until(TableState.BACKFILLING)
    app.execute("INSERT INTO doc (id, part, n, title) VALUES ('bad', 1, 1, 'no number')")
    run = rebuild.settle()
    # The row cannot be filled: a person has to say what it shall be; nothing is called done
    assert run.state is RunState.NEEDS_OPERATOR
    assert "no number" in rebuild.why()
    app.execute("DELETE FROM doc WHERE id = 'bad'")
    rebuild.retry()
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM doc WHERE x = n") == 5000


@pytest.mark.usefixtures("docs")
def test_a_missing_value_stops_before_not_null(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = begin(
        table(
            "doc",
            method="backfill",
            add=[{"name": "x", "type": "text", "value": "nullif(live.title, 'title 7')", "not_null": True}],
        )
    )
    rebuild.settle()
    assert "is violated by some row" in rebuild.why()
    app.execute("UPDATE doc SET x = 'seven' WHERE title = 'title 7'")
    rebuild.retry()
    rebuild.finish()
    assert one(app, "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'doc'::regclass AND attname = 'x'")


@pytest.mark.usefixtures("docs")
def test_an_invalid_index_that_was_left_behind_is_built_anew(app: psycopg.Connection, begin: Begin) -> None:
    unique = {"name": "u", "type": "int", "value": "live.n / 2", "unique": True}
    rebuild = begin(table("doc", method="backfill", add=[unique]))
    rebuild.settle()
    assert "could not create unique index" in rebuild.why()
    assert one(app, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'doc_u_key'::regclass") is False
    app.execute("UPDATE doc SET u = n")
    rebuild.retry()
    rebuild.finish()
    assert one(app, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'doc_u_key'::regclass")


def test_partitioned_tables_are_filled_through_their_root(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE p (id text, n int, v text, PRIMARY KEY (id, n)) PARTITION BY RANGE (n)")
    app.execute("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (500)")
    app.execute("CREATE TABLE p2 PARTITION OF p DEFAULT")
    app.execute("INSERT INTO p SELECT md5(g::text), g FROM generate_series(1, 1500) AS g")
    fill = {"name": "v", "value": "'v' || live.n", "not_null": True}
    begin(table("p", method="backfill", fill=[fill])).finish()
    assert one(app, "SELECT count(*) FROM p WHERE v = 'v' || n") == 1500
    not_null = (
        "SELECT bool_and(attnotnull) FROM pg_attribute WHERE attname = 'v' AND attrelid = ANY ('{p,p2}'::regclass[])"
    )
    assert one(app, not_null)


@pytest.mark.usefixtures("docs")
def test_the_planner_weighs_rows_that_change(app: psycopg.Connection, begin: Begin) -> None:
    """Few empty values: in place. Many in a table that is not small: anew, in one pass."""
    app.execute("CREATE TABLE wide (id int PRIMARY KEY, filler text, few text, many text)")
    app.execute(
        "INSERT INTO wide SELECT g, repeat('x', 400), CASE WHEN g % 50 <> 0 THEN 'there' END,"
        " CASE WHEN g % 2 = 0 THEN 'there' END FROM generate_series(1, 9000) AS g"
    )
    app.execute("ANALYZE wide")
    rebuild = begin(
        table("wide", fill=[{"name": "few", "value": "'x'"}]), table("doc", add=[{"name": "y", "type": "int"}])
    )
    assert {t.spec.name: (t.spec.method, t.axis_reason) for t in rebuild.tables} == {
        "wide": ("backfill", "filled in place: about 2% of its rows change"),
        "doc": ("backfill", "filled in place: the table is small"),
    }
    rebuild.finish()
    rebuild = begin(table("wide", fill=[{"name": "many", "value": "'x'"}]))
    assert rebuild.table("wide").spec.method == "rebuild"
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM wide WHERE few IS NULL OR many IS NULL") == 0


@pytest.mark.usefixtures("docs")
def test_a_role_that_cannot_keep_triggers_quiet_is_refused(app: psycopg.Connection, database: Url) -> None:
    app.execute("CREATE ROLE plain_owner LOGIN PASSWORD 'secret'")
    try:
        app.execute(SQL("GRANT CREATE ON DATABASE {} TO plain_owner").format(Identifier(app.info.dbname)))
        app.execute("GRANT CREATE ON SCHEMA public TO plain_owner")
        for name in ("doc", "entry"):
            app.execute(SQL("ALTER TABLE {} OWNER TO plain_owner").format(Identifier(name)))
        with pytest.raises(NeedsOperator, match="GRANT SET ON PARAMETER"):
            Rebuild.begin(make_conninfo(database, user="plain_owner", password="secret"), [table("doc", **DOC)], {})
    finally:
        app.execute("DROP OWNED BY plain_owner CASCADE; DROP ROLE plain_owner")


@pytest.mark.usefixtures("docs")
def test_what_needs_a_rebuild_cannot_be_done_in_place(app: psycopg.Connection, begin: Begin) -> None:
    with pytest.raises(WrongUse, match="columns change their type"):
        begin(table("doc", "id", method="backfill"))
    with pytest.raises(WrongUse, match="title is overwritten"):
        begin(table("doc", method="backfill", fill=[{"name": "title", "value": "'x'", "only_null": False}]))
    assert count(app, live("doc")) == 5000


def test_chunks_follow_the_pace() -> None:
    assert next_keys(seconds=None, keys=None) == FIRST_KEYS
    assert next_keys(seconds=0.25, keys=1000) == 2000
    assert next_keys(seconds=1.0, keys=1000) == 1000
    assert next_keys(seconds=4.0, keys=1000) == 250
    assert next_keys(seconds=100.0, keys=120) == 100
    assert next_keys(seconds=0.001, keys=MOST_KEYS) == MOST_KEYS
