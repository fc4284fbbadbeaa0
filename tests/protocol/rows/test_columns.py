"""Columns that the plan adds and fills, and texts that are no uuids: judged by plain SQL that computes the same."""

import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors
from support.oracles.oracle import count, differences, live, one, past
from support.runs.harness import AxisName, Rebuild, table

from producer.rollback.rollback import roll_back
from replank.errors import NeedsOperator, WrongUse
from replank.plan.tables.table_plan import ColumnPlan
from replank.values.states import TableState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

SHOP = """
CREATE SCHEMA audit;
CREATE TABLE audit.entry (row_id text NOT NULL, actor text NOT NULL, at timestamptz NOT NULL);
CREATE TABLE doc (id text PRIMARY KEY, title text NOT NULL, created_at timestamptz, updated_at timestamptz, n int);
INSERT INTO doc
  SELECT gen_random_uuid()::text, 'title ' || g, CASE WHEN g % 3 = 0 THEN timestamptz '2020-01-01' END, NULL, g
    FROM generate_series(1, 600) AS g;
INSERT INTO audit.entry
  SELECT id, 'actor ' || n % 5, timestamptz '2021-01-01' + n * interval '1 day' FROM doc WHERE n % 2 = 0;
INSERT INTO audit.entry SELECT id, 'later', timestamptz '2023-01-01' FROM doc WHERE n % 4 = 0
"""

FIRST = "SELECT DISTINCT ON (row_id) row_id, actor, at FROM audit.entry ORDER BY row_id, at"
DOC: dict[str, Any] = {
    "join": [{"name": "first", "query": FIRST, "on": "first.row_id = live.id"}],
    "fill": [
        {
            "name": "created_at",
            "value": "coalesce(first.at, '2019-05-05 00:00Z')",
            "default": "now()",
            "not_null": True,
        },
        {"name": "updated_at", "value": "coalesce(live.created_at, first.at)", "on_update": "now()"},
        {"name": "title", "value": "upper(live.title) || ' 100%'", "only_null": False},
    ],
    "add": [
        {"name": "created_by", "type": "text", "value": "first.actor"},
        {"name": "public_id", "type": "uuid", "default": "gen_random_uuid()", "not_null": True, "unique": True},
        {"name": "token", "type": "uuid", "value": "gen_random_uuid()", "stable": False},
        {"name": "revision", "type": "integer", "default": "1", "not_null": True, "on_update": "OLD.revision + 1"},
        {"name": "deleted_at", "type": "timestamptz"},
    ],
}

WANTED = """
SELECT p.id::uuid, upper(p.title) || ' 100%', coalesce(p.created_at, f.at, '2019-05-05 00:00Z'),
       coalesce(p.updated_at, p.created_at, f.at), p.n, f.actor, NULL::timestamptz
  FROM replank_past.doc p LEFT JOIN LATERAL (
       SELECT e.actor, e.at FROM audit.entry e WHERE e.row_id = p.id ORDER BY e.at LIMIT 1) f ON true
"""
GIVEN = "SELECT id, title, created_at, updated_at, n, created_by, deleted_at FROM public.doc"


@pytest.fixture
def docs(app: psycopg.Connection) -> None:
    for statement in SHOP.split(";\n"):
        app.execute(statement.encode())


def _unequal(app: psycopg.Connection) -> int:
    """Rows that stand on one side only."""
    wanted, given = (sorted(map(repr, app.execute(query.encode()).fetchall())) for query in (WANTED, GIVEN))
    return sum(a != b for a, b in zip(wanted, given, strict=True))


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize("axis", ["heap", "primary_key"])
def test_audit_fields_are_added_and_filled_in_the_same_pass(
    app: psycopg.Connection, begin: Begin, axis: AxisName
) -> None:
    rebuild = begin(table("doc", "id", axis=axis, **DOC))
    rebuild.until(TableState.COPYING)
    app.execute("UPDATE doc SET created_at = '2022-02-02', n = -n WHERE n % 10 = 1")
    app.execute("DELETE FROM doc WHERE n = 2")
    rebuild.until(TableState.READY)
    app.execute("INSERT INTO doc (id, title) VALUES (gen_random_uuid()::text, 'late')")
    app.execute("UPDATE doc SET title = 'changed' WHERE n = 4")
    rebuild.finish()
    # Then every row is what plain SQL makes of the past table
    assert count(app, live("doc")) == count(app, past("doc")) == 600
    assert _unequal(app) == 0
    assert one(app, "SELECT count(DISTINCT public_id) = count(*) AND count(DISTINCT token) = count(*) FROM doc")
    assert one(app, "SELECT bool_and(revision = 1) FROM doc")


@pytest.mark.usefixtures("docs")
def test_new_writes_are_right_from_the_first_moment(app: psycopg.Connection, begin: Begin) -> None:
    begin(table("doc", "id", **DOC)).finish()
    app.execute("INSERT INTO doc (id, title, n) VALUES (gen_random_uuid(), 'new', 7777)")
    seen = "SELECT created_at = now(), updated_at, revision, public_id IS NOT NULL FROM doc WHERE n = 8888"
    with app.transaction():
        app.execute("INSERT INTO doc (id, title, n) VALUES (gen_random_uuid(), 'new', 8888)")
        assert app.execute(seen).fetchall() == [(True, None, 1, True)]
        app.execute("UPDATE doc SET title = 'newer' WHERE n = 8888")
        changed = app.execute("SELECT updated_at = now(), revision FROM doc WHERE n = 8888").fetchall()
        app.execute("UPDATE doc SET updated_at = '2001-01-01' WHERE n = 8888")
        by_hand = app.execute("SELECT updated_at = '2001-01-01', revision FROM doc WHERE n = 8888").fetchall()
    assert (changed, by_hand) == ([(True, 2)], [(True, 3)])
    with pytest.raises(errors.NotNullViolation):
        app.execute("UPDATE doc SET created_at = NULL WHERE n = 7777")
    with pytest.raises(errors.UniqueViolation):
        app.execute("UPDATE doc SET public_id = (SELECT public_id FROM doc WHERE n = 7777)")
    names = "SELECT conname FROM pg_constraint WHERE conrelid = 'doc'::regclass AND contype = 'u'"
    assert one(app, names) == "doc_public_id_key"
    assert one(app, "SELECT pronamespace::regnamespace::text FROM pg_proc WHERE proname = 'doc_on_update'") == "public"


@pytest.mark.usefixtures("docs")
def test_rollback_takes_everything_away(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = begin(table("doc", "id", **DOC))
    rebuild.ready()
    roll_back(rebuild.connection, say=lambda _: None, sleep=lambda _: None)
    assert one(app, "SELECT count(*) FROM pg_proc WHERE proname = 'doc_on_update'") == 0
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0


@pytest.mark.parametrize("method", ["rebuild", "backfill"])
def test_a_column_that_is_only_added_needs_no_conversion(app: psycopg.Connection, begin: Begin, method: str) -> None:
    """The other shape: an integer key, and a native uuid beside it."""
    app.execute("CREATE TABLE numbered (id bigserial PRIMARY KEY, name text)")
    app.execute("INSERT INTO numbered (name) SELECT 'n' || g FROM generate_series(1, 99) AS g")
    column = {"name": "uuid", "type": "uuid", "default": "gen_random_uuid()", "not_null": True, "unique": True}
    begin(table("numbered", method=method, add=[column])).finish()
    found = app.execute("SELECT count(DISTINCT uuid), max(id) FROM numbered").fetchall()
    assert found == [(99, 99)]
    app.execute("INSERT INTO numbered (name) VALUES ('next')")
    assert one(app, "SELECT max(id) FROM numbered") == 100


def test_partitioned_tables_get_columns_too(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE part (id text, n int, PRIMARY KEY (id, n)) PARTITION BY RANGE (n)")
    app.execute("CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (50)")
    app.execute("CREATE TABLE part_high (n int NOT NULL, id text NOT NULL)")
    app.execute("ALTER TABLE part ATTACH PARTITION part_high FOR VALUES FROM (50) TO (1000)")
    app.execute("INSERT INTO part SELECT gen_random_uuid()::text, g FROM generate_series(1, 100) AS g")
    twice = {"name": "twice", "type": "bigint", "value": "live.n * 2", "not_null": True, "on_update": "NEW.n * 2"}
    begin(table("part", "id", add=[twice])).finish()
    assert one(app, "SELECT bool_and(twice = n * 2) AND count(*) = 100 FROM part")
    app.execute("UPDATE part SET n = n + 1 WHERE n = 99")
    app.execute("UPDATE part_low SET n = 49 WHERE n = 48")
    assert one(app, "SELECT bool_and(twice = n * 2) FROM part")


NAMES = """
CREATE TABLE parent (id text PRIMARY KEY, n int);
CREATE TABLE child (id text PRIMARY KEY, parent_id text REFERENCES parent)
"""
ROWS = (
    "INSERT INTO parent SELECT CASE g % 3 WHEN 0 THEN 'clx' || md5(g::text) WHEN 1 THEN gen_random_uuid()::text"
    " ELSE upper(gen_random_uuid()::text) END, g FROM generate_series(1, 90) AS g",
    "INSERT INTO parent VALUES ('', 1000), ('ünïcode 100% ''quoted''', 1001)",
    "INSERT INTO child SELECT 'child ' || n, id FROM parent",
)


def _name_based(name: str) -> ColumnPlan:
    return ColumnPlan(name=name, to="uuid", on_invalid="name_based")


@pytest.mark.parametrize("axis", ["heap", "primary_key"])
def test_name_based_ids_are_the_same_everywhere(app: psycopg.Connection, begin: Begin, axis: AxisName) -> None:
    """Any text becomes the uuid that `uuid3` gives in any language; uuids stay what they are; keys still lead home."""
    app.execute(NAMES)
    for statement in ROWS:
        app.execute(statement.encode())
    rebuild = begin(
        table("parent", axis=axis, columns=[_name_based("id").model_dump()]),
        table("child", axis=axis, columns=[_name_based("id").model_dump(), _name_based("parent_id").model_dump()]),
    )
    rebuild.until(TableState.COPYING)
    app.execute("INSERT INTO parent VALUES ('came during the copy', 1002)")
    rebuild.until(TableState.READY)
    app.execute("INSERT INTO child VALUES ('came late', 'came during the copy')")
    app.execute("DELETE FROM child WHERE id = 'child 3'")
    app.execute("UPDATE child SET id = 'renamed' WHERE id = 'child 6'")
    rebuild.finish()
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "https://replank.dev/name-based")

    def expected(text: str) -> uuid.UUID:
        try:
            return uuid.UUID(text)
        except ValueError:
            return uuid.uuid3(namespace, text)

    was = {n: text for text, n in app.execute("SELECT id, n FROM replank_past.parent").fetchall()}
    became = {n: value for value, n in app.execute("SELECT id, n FROM parent").fetchall()}
    assert became == {n: expected(text) for n, text in was.items()}
    assert all(value.version in (3, 4) for value in became.values())
    pairs = app.execute("SELECT id, parent_id FROM replank_past.child").fetchall()
    made = app.execute("SELECT id, parent_id FROM child").fetchall()
    assert sorted(made) == sorted((expected(a), expected(b)) for a, b in pairs)
    assert one(app, "SELECT count(*) FROM child c JOIN parent p ON p.id = c.parent_id") == len(made)


def test_null_where_a_text_is_no_uuid(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, trace text)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, 'bad' || g FROM generate_series(1, 25) AS g")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, gen_random_uuid()::text FROM generate_series(1, 25)")
    rebuild = begin(
        table("t", columns=[{"name": "id", "to": "uuid"}, {"name": "trace", "to": "uuid", "on_invalid": "null"}])
    )
    rebuild.until(TableState.READY)
    app.execute("INSERT INTO t VALUES (gen_random_uuid()::text, 'bad too')")
    rebuild.finish()
    app.execute("UPDATE replank_past.t SET trace = NULL WHERE trace NOT LIKE '%-%'")
    assert differences(app, past("t"), live("t"), {"id", "trace"}) == []
    assert one(app, "SELECT count(*) FROM t WHERE trace IS NULL") == 26


def test_two_texts_that_become_one_uuid_are_still_found(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    app.execute("INSERT INTO t VALUES ('some name'), (upper('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'))")
    rebuild = begin(table("t", columns=[_name_based("id").model_dump()]))
    rebuild.ready()
    app.execute("INSERT INTO t VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')")
    rebuild.settle()
    assert "become the same uuid" in rebuild.why()


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "unstable": (
        {"add": [{"name": "x", "type": "float8", "value": "random()"}]},
        NeedsOperator,
        "returns another result",
    ),
    "no such name": ({"add": [{"name": "x", "type": "int", "value": "live.nix"}]}, NeedsOperator, "live.nix"),
    "no such type": ({"add": [{"name": "x", "type": "nix"}]}, NeedsOperator, 'type "nix" does not exist'),
    "wrong type": (
        {"add": [{"name": "x", "type": "int", "value": "live.title"}]},
        NeedsOperator,
        "invalid input syntax",
    ),
    "there already": ({"add": [{"name": "title", "type": "int"}]}, WrongUse, "already has a column title"),
    "not there": ({"fill": [{"name": "nix", "value": "1"}]}, WrongUse, "has no column nix"),
    "the key": ({"fill": [{"name": "id", "value": "'x'"}]}, WrongUse, "part of the key"),
    "null key": ({"columns": [{"name": "id", "to": "uuid", "on_invalid": "null"}]}, WrongUse, "is NOT NULL, so"),
}


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_cannot_be_is_refused_before_the_first_write(app: psycopg.Connection, begin: Begin, what: str) -> None:
    more, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        begin(table("doc", **more))
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0


def test_both_ends_of_a_key_follow_one_policy(app: psycopg.Connection, begin: Begin) -> None:
    app.execute(NAMES)
    with pytest.raises(NeedsOperator, match="name_based for both columns or for neither"):
        begin(table("parent", "id"), table("child", columns=[_name_based("parent_id").model_dump()]))


@pytest.mark.usefixtures("docs")
def test_a_value_missing_where_null_is_forbidden_stops_before_the_swap(app: psycopg.Connection, begin: Begin) -> None:
    wanted = {"name": "x", "type": "timestamptz", "value": "live.created_at", "not_null": True}
    rebuild = begin(table("doc", method="rebuild", add=[wanted]))
    rebuild.settle()
    assert 'null value in column "x"' in rebuild.why()
    there = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.doc'::regclass AND attname = 'x'"
    assert one(app, there) == 0


def test_an_integer_key_with_a_secondary_uuid_keeps_its_numbers(app: psycopg.Connection, begin: Begin) -> None:
    """The other shape of a Prisma schema: foreign keys follow the number, the text beside it becomes a uuid."""
    app.execute(
        "CREATE TABLE person (id serial PRIMARY KEY, name text,"
        " uuid text NOT NULL UNIQUE DEFAULT gen_random_uuid()::text)"
    )
    app.execute("CREATE TABLE post (id serial PRIMARY KEY, person_id int REFERENCES person, person_uuid text)")
    app.execute("ALTER TABLE post ADD FOREIGN KEY (person_uuid) REFERENCES person (uuid) ON UPDATE CASCADE")
    app.execute("INSERT INTO person (name) SELECT 'p' || g FROM generate_series(1, 200) AS g")
    app.execute("INSERT INTO post (person_id, person_uuid) SELECT id, uuid FROM person")
    rebuild = begin(table("person", "uuid"), table("post", "person_uuid"))
    rebuild.until(TableState.READY)
    app.execute("INSERT INTO person (name) VALUES ('late')")
    app.execute("UPDATE person SET uuid = gen_random_uuid()::text WHERE id = 7")
    rebuild.finish()
    assert differences(app, past("person"), live("person"), {"uuid"}) == []
    assert differences(app, past("post"), live("post"), {"person_uuid"}) == []
    assert one(app, "INSERT INTO person (name) VALUES ('new') RETURNING id") == 202
    assert (
        one(app, "SELECT count(*) FROM post JOIN person ON person.uuid = person_uuid AND person.id = person_id") == 200
    )
