"""The way back of everything a column can become: rows kept aside, references made NULL, arrays, domains, casts."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import count, live, one
from support.oracles.returning import catalogue, changed, everything_left, go_back, keep, unlike
from support.runs.harness import Rebuild, table

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

ASIDE = """
CREATE TABLE users (id text PRIMARY KEY, name text);
CREATE TABLE booking (id text PRIMARY KEY, user_id text NOT NULL REFERENCES users, n int UNIQUE);
CREATE TABLE note (id int PRIMARY KEY, about text REFERENCES users ON DELETE SET NULL, words text);
INSERT INTO users VALUES ('master', 'M');
INSERT INTO users SELECT gen_random_uuid()::text, 'U' || g FROM generate_series(1, 20) AS g;
INSERT INTO booking SELECT gen_random_uuid()::text, id, row_number() OVER (ORDER BY name) FROM users;
INSERT INTO note SELECT row_number() OVER (ORDER BY name), id, 'about ' || name FROM users
"""


def _columns(policy: str, *names: str) -> list[dict[str, str]]:
    return [{"name": name, "to": "uuid", "on_invalid": policy} for name in names]


@pytest.fixture
def aside(app: psycopg.Connection, begin: Begin) -> Rebuild:
    for statement in ASIDE.split(";\n"):
        app.execute(statement.encode())
    for name in ("users", "booking", "note"):
        keep(app, live(name), name)
    return begin(
        table("users", columns=_columns("quarantine", "id")),
        table("booking", columns=_columns("quarantine", "id", "user_id")),
        table("note", columns=_columns("null", "about")),
    )


def test_what_was_kept_aside_is_there_again(app: psycopg.Connection, aside: Rebuild, database: str) -> None:
    before = catalogue(database, ["public"])
    aside.finish()
    assert (count(app, live("users")), count(app, live("booking")), count(app, live("note"))) == (20, 20, 21)
    assert one(app, "SELECT count(*) FROM note WHERE about IS NULL") == 1
    # The note that lost its reference is changed, and one is given another: the first has its reference again.
    app.execute("UPDATE note SET words = words || '!' WHERE about IS NULL OR words = 'about U1'")
    app.execute("UPDATE note SET about = NULL WHERE words = 'about U2'")
    app.execute("DELETE FROM booking WHERE user_id = (SELECT id FROM users WHERE name = 'U3')")
    go_back(aside)
    assert changed(before, catalogue(database, ["public"])) == {}
    assert unlike(app, live("users"), "users", ["t.*"]) == []
    assert one(app, "SELECT count(*) FROM booking b JOIN users u ON u.id = b.user_id WHERE u.id = 'master'") == 1
    assert (count(app, live("users")), count(app, live("booking"))) == (21, 20)
    assert app.execute("SELECT words FROM note WHERE about = 'master'").fetchall() == [("about M!",)]
    assert app.execute("SELECT words FROM note WHERE about IS NULL").fetchall() == [("about U2",)]
    assert everything_left(app) == []


def test_without_a_change_nothing_of_it_shows(app: psycopg.Connection, aside: Rebuild) -> None:
    aside.finish()
    go_back(aside)
    assert [unlike(app, live(name), name, ["t.*"]) for name in ("users", "booking", "note")] == [[], [], []]
    assert everything_left(app) == []


def test_a_truncate_leaves_what_was_kept_aside(app: psycopg.Connection, aside: Rebuild) -> None:
    aside.finish()
    app.execute("TRUNCATE booking")
    go_back(aside)
    assert app.execute("SELECT user_id FROM booking").fetchall() == [("master",)]


OTHERS = """
CREATE DOMAIN id36 AS varchar(36) NOT NULL DEFAULT gen_random_uuid()::text;
CREATE TABLE t (id id36 PRIMARY KEY, friends text[], n int);
INSERT INTO t (friends, n) SELECT ARRAY[upper(gen_random_uuid()::text), NULL, gen_random_uuid()::text], g
  FROM generate_series(1, 20) AS g;
INSERT INTO t (friends, n) VALUES ('[3:4]={a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}', 21), ('{}', 22), (NULL, 23)
"""


def test_domains_arrays_and_casts(app: psycopg.Connection, begin: Begin, database: str) -> None:
    for statement in OTHERS.split(";\n"):
        app.execute(statement.encode())
    keep(app, live("t"), "t")
    before = catalogue(database, ["public"])
    rebuild = begin(
        table("t", columns=[{"name": "id", "to": "uuid"}, {"name": "friends", "to": "uuid[]"}]), text_casts=True
    )
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM t WHERE id = (SELECT id::text FROM t WHERE n = 1)") == 1
    app.execute("UPDATE t SET friends = friends || gen_random_uuid() WHERE n = 1")
    app.execute("UPDATE t SET n = -n WHERE n > 1")
    added = app.execute("INSERT INTO t (n) VALUES (99) RETURNING id::text").fetchone()
    assert added is not None
    go_back(rebuild)
    assert changed(before, catalogue(database, ["public"])) == {}
    assert one(app, "SELECT array_length(friends, 1) FROM t WHERE n = 1") == 4
    assert one(app, "SELECT id FROM t WHERE n = 99") == added[0]
    # Rows whose array was not changed have it as it was, with spelling, bounds and NULLs.
    app.execute("DELETE FROM t WHERE n IN (1, 99)")
    app.execute("DELETE FROM judge.t WHERE n = 1")
    assert unlike(app, live("t"), "t", ["id", "friends", "abs(n)"]) == []
    assert everything_left(app) == []
    assert (
        one(app, "SELECT count(*) FROM pg_cast WHERE castsource = 'text'::regtype AND casttarget = 'uuid'::regtype")
        == 0
    )
