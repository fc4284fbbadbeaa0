"""The way back after the cutover: nothing that was written is lost, and the catalogue is what it was."""

import uuid
from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import count, live, one, past
from support.oracles.returning import catalogue, changed, everything_left, go_back, keep, unlike
from support.runs.harness import Rebuild, table

from replank.errors import WrongUse
from replank.values.states import RunState, TableState
from sql.session.connection import connect

pytestmark = [pytest.mark.protocol, pytest.mark.core]

Begin = Callable[..., Rebuild]

A, B, C, D = (f"a0eebc{n}-9c0b-4ef8-bb6d-6bb9bd380a11" for n in (11, 22, 33, 44))

FAMILY = """
CREATE TABLE parent (id text PRIMARY KEY, n int);
CREATE TABLE child (id varchar(40) PRIMARY KEY, parent_id text REFERENCES parent ON DELETE CASCADE, note text);
CREATE TABLE other (id text PRIMARY KEY, soft_parent text, same text);
INSERT INTO parent SELECT k, n FROM unnest(current_setting('test.keys')::text[]) WITH ORDINALITY AS u (k, n);
INSERT INTO child SELECT gen_random_uuid()::text, id, 'first' FROM parent;
INSERT INTO child SELECT upper(gen_random_uuid()::text), id, 'second' FROM parent;
INSERT INTO other SELECT gen_random_uuid()::text, id, lower(id) FROM parent
"""


@pytest.fixture
def family(app: psycopg.Connection) -> None:
    keys = ", ".join(f'"{key}"' for key in (A.upper(), "{" + B + "}", C, D.upper()))
    app.execute("SELECT set_config('test.keys', %s, false)", ["{" + keys + "}"])
    for statement in FAMILY.split(";\n"):
        app.execute(statement.encode())


def _family(begin: Begin, **options: int) -> Rebuild:
    return begin(table("parent", "id"), table("child", "id", "parent_id"), table("other", "id"), **options)


@pytest.mark.usefixtures("family")
def test_without_a_change_every_row_is_as_it_was(app: psycopg.Connection, begin: Begin, database: str) -> None:
    before = catalogue(database, ["public"])
    for name in ("parent", "child", "other"):
        keep(app, live(name), name)
    rebuild = _family(begin)
    rebuild.finish()
    assert changed(before, catalogue(database, ["public"])) != {}
    said = go_back(rebuild)
    assert changed(before, catalogue(database, ["public"])) == {}
    assert [unlike(app, live(name), name, ["t.*"]) for name in ("parent", "child", "other")] == [[], [], []]
    assert everything_left(app) == []
    assert any("are live again; lock waited for" in words for words in said)


@pytest.mark.usefixtures("family")
def test_spellings_come_back(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = _family(begin)
    rebuild.finish()
    # A row whose uuid stays keeps its text; new references get their parent's; a parent that comes again, its own.
    app.execute("UPDATE parent SET n = -n WHERE id = %s", [A])
    app.execute("UPDATE child SET note = 'changed' WHERE note = 'second' AND parent_id = %s", [B])
    app.execute("INSERT INTO child VALUES (gen_random_uuid(), %s, 'new')", [A])
    app.execute("UPDATE child SET parent_id = %s, note = 'moved' WHERE parent_id = %s AND note = 'first'", [B, C])
    app.execute("DELETE FROM parent WHERE id = %s", [D])
    app.execute("INSERT INTO parent VALUES (%s, 44)", [D])
    app.execute("INSERT INTO child VALUES (%s, %s, 'again')", [A, D])
    app.execute("INSERT INTO other VALUES (%s, %s, NULL)", [B, A])
    kept = app.execute("SELECT id FROM replank_past.child WHERE note = 'second' AND parent_id = %s", ["{" + B + "}"])
    spelled = kept.fetchall()
    go_back(rebuild)
    assert app.execute("SELECT id, n FROM parent ORDER BY abs(n)").fetchall() == [
        (A.upper(), -1), ("{" + B + "}", 2), (C, 3), (D.upper(), 44)
    ]  # fmt: skip
    found = app.execute("SELECT parent_id FROM child WHERE note IN ('new', 'moved', 'again') ORDER BY note").fetchall()
    assert found == [(D.upper(),), ("{" + B + "}",), (A.upper(),)]
    assert app.execute("SELECT id FROM child WHERE note = 'changed'").fetchall() == spelled
    assert one(app, "SELECT bool_and(id = upper(id)) FROM child WHERE note IN ('second', 'changed')") is True
    assert one(app, "SELECT count(*) FROM child") == 8 + 2 - 2 + 0
    assert everything_left(app) == []


NAMED = """
CREATE TABLE parent (id text PRIMARY KEY, n int);
CREATE TABLE child (id text PRIMARY KEY, parent_id text REFERENCES parent);
INSERT INTO parent SELECT 'clx' || md5(g::text), g FROM generate_series(1, 30) AS g;
INSERT INTO parent VALUES (gen_random_uuid()::text, 31);
INSERT INTO child SELECT 'ch_' || n, id FROM parent
"""


def test_name_based_ids_become_their_texts_again(app: psycopg.Connection, begin: Begin) -> None:
    for statement in NAMED.split(";\n"):
        app.execute(statement.encode())
    named = [{"name": name, "to": "uuid", "on_invalid": "name_based"} for name in ("id", "parent_id")]
    rebuild = begin(table("parent", columns=named[:1]), table("child", columns=named))
    rebuild.finish()
    app.execute("INSERT INTO child SELECT gen_random_uuid(), id FROM parent WHERE n < 5")
    app.execute("UPDATE parent SET n = n + 100 WHERE n = 7")
    fresh = uuid.uuid4()
    app.execute("INSERT INTO parent VALUES (%s, 99)", [fresh])
    app.execute("UPDATE child SET parent_id = %s WHERE parent_id = (SELECT id FROM parent WHERE n = 9)", [fresh])
    go_back(rebuild)
    assert one(app, "SELECT count(*) FROM parent WHERE id = 'clx' || md5((n % 100)::text) OR n IN (31, 99)") == 32
    assert one(app, "SELECT count(*) FROM child WHERE id = 'ch_9' AND parent_id = %s", str(fresh)) == 1
    assert one(app, "SELECT count(*) FROM child") == 35
    assert one(app, "SELECT count(*) FROM child c JOIN parent p ON p.id = c.parent_id WHERE p.id LIKE 'clx%'") == 33


def test_composite_keys_self_references_and_cycles(app: psycopg.Connection, begin: Begin, database: str) -> None:
    app.execute("CREATE TABLE pair (a text, b int, n int UNIQUE, PRIMARY KEY (a, b))")
    app.execute("CREATE TABLE tree (id text PRIMARY KEY, up text REFERENCES tree, a text, b int)")
    app.execute("ALTER TABLE tree ADD FOREIGN KEY (a, b) REFERENCES pair ON UPDATE CASCADE")
    app.execute("CREATE TABLE x (id text PRIMARY KEY, y_id text)")
    app.execute("CREATE TABLE y (id text PRIMARY KEY, x_id text REFERENCES x DEFERRABLE INITIALLY DEFERRED)")
    app.execute("ALTER TABLE x ADD CONSTRAINT to_y FOREIGN KEY (y_id) REFERENCES y ON DELETE SET NULL")
    # The same uuid in two spellings, told apart by the other half of the key.
    app.execute("INSERT INTO pair VALUES (%s, 1, 1), (%s, 2, 2), (%s, 3, 3)", [A.upper(), A, A.upper()])
    app.execute("INSERT INTO tree VALUES (%s, NULL, %s, 1)", [B.upper(), A.upper()])
    app.execute("INSERT INTO tree VALUES (%s, %s, %s, 2)", [C, B.upper(), A])
    app.execute("INSERT INTO x VALUES (%s, NULL)", [A])
    app.execute("INSERT INTO y VALUES (%s, %s)", [B.upper(), A])
    app.execute("UPDATE x SET y_id = %s", [B.upper()])
    before = catalogue(database, ["public"])
    rebuild = begin(
        table("pair", "a"), table("tree", "id", "up", "a"), table("x", "id", "y_id"), table("y", "id", "x_id")
    )
    rebuild.finish()
    app.execute("UPDATE pair SET n = -n")
    app.execute("UPDATE pair SET b = b + 10 WHERE b = 3")
    app.execute("INSERT INTO tree VALUES (%s, %s, %s, 13)", [D, B, A])
    with app.transaction():
        app.execute("UPDATE x SET id = %s", [C])
        app.execute("DELETE FROM y")
        app.execute("INSERT INTO y VALUES (%s, %s)", [B, C])
        app.execute("UPDATE x SET y_id = %s", [B])
    go_back(rebuild)
    assert app.execute("SELECT a, b, n FROM pair ORDER BY b").fetchall() == [
        (A.upper(), 1, -1), (A, 2, -2), (A.upper(), 13, -3)
    ]  # fmt: skip
    assert app.execute("SELECT id, up, a, b FROM tree ORDER BY b").fetchall() == [
        (B.upper(), None, A.upper(), 1), (C, B.upper(), A, 2), (D, B.upper(), A.upper(), 13)
    ]  # fmt: skip
    assert app.execute("SELECT x.id, y_id, y.id, x_id FROM x, y").fetchall() == [(C, B.upper(), B.upper(), C)]
    assert changed(before, catalogue(database, ["public"])) == {}


def test_truncate_and_everything_after_it(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT upper(gen_random_uuid()::text), g FROM generate_series(1, 100) AS g")
    rebuild = begin(table("t", "id"))
    rebuild.finish()
    app.execute("INSERT INTO t SELECT gen_random_uuid(), 1000")
    kept = app.execute("SELECT id FROM t WHERE n = 5").fetchall()[0][0]
    app.execute("TRUNCATE t")
    app.execute("INSERT INTO t VALUES (%s, 5), (gen_random_uuid(), 2000)", [kept])
    go_back(rebuild)
    assert app.execute("SELECT n, id = upper(id) FROM t ORDER BY n").fetchall() == [(5, True), (2000, False)]


def test_forward_again_and_back_again(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    for turn in (1, 2):
        rebuild = begin(table("t", "id"))
        rebuild.finish()
        app.execute("INSERT INTO t VALUES (gen_random_uuid(), -%s)", [turn])
        go_back(rebuild)
        rebuild.close()
        assert count(app, live("t")) == 50 + turn
        assert everything_left(app) == []
    begin(table("t", "id")).finish()
    assert count(app, live("t")) == count(app, past("t")) == 52


def test_without_capture_there_is_no_way_back(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    rebuild = begin(table("t", "id"), reverse_capture=False)
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'replank%'") == 0
    with pytest.raises(WrongUse, match="reverse_capture = false"):
        go_back(rebuild)
    assert rebuild.run.state is RunState.DONE


@pytest.mark.usefixtures("family")
def test_from_the_swap_on_every_state_has_a_way_back(app: psycopg.Connection, begin: Begin, database: str) -> None:
    before = catalogue(database, ["public"])
    rebuild = _family(begin)
    rebuild.ready()
    rebuild.swap()
    assert TableState.SWAPPED in {each.state for each in rebuild.tables}
    app.execute("INSERT INTO child VALUES (gen_random_uuid(), %s, 'new')", [A])
    go_back(rebuild)
    rebuild.close()
    assert changed(before, catalogue(database, ["public"])) == {}
    assert one(app, "SELECT count(*) FROM child WHERE parent_id = %s", A.upper()) == 3
    rebuild = _family(begin)
    rebuild.ready()
    rebuild.swap()
    rebuild.turn()
    assert TableState.VALIDATING in {each.state for each in rebuild.tables}
    app.execute("DELETE FROM child WHERE note = 'new'")
    go_back(rebuild)
    assert changed(before, catalogue(database, ["public"])) == {}
    assert count(app, live("child")) == 8
    assert everything_left(app) == []


def test_changes_are_known_only_by_reverse_capture(app: psycopg.Connection, begin: Begin, database: str) -> None:
    """The negative control: a change that was not captured is found, and nothing changes places."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    rebuild = begin(table("t", "id"))
    rebuild.finish()
    app.execute("UPDATE t SET n = -n WHERE n = 7")
    with connect(database, name="saboteur") as saboteur:
        saboteur.execute("DELETE FROM replank.reverse_log_1_1")
    with pytest.raises(Exception, match=r"past and new table differ .* Nothing was swapped back"):
        go_back(rebuild)
    assert count(app, past("t")) == 50
    assert rebuild.run.state is RunState.DONE
