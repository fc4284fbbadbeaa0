"""Quarantine in every shape of reference: chains, cycles, composite keys, partitions, schemas, NULL at the child."""

import psycopg
import pytest
from support.oracles.oracle import count, live, one, past
from support.oracles.quarantine_oracle import Kind, Kinds, aside, check, kept
from support.runs.harness import add_drain, table

from protocol.quarantine.test_quarantine import Begin, plan
from replank.values.states import TableState
from sql.swap.lock_attempt import Crossing

pytestmark = pytest.mark.protocol


def key(n: int) -> str:
    return f"0fd00f6b-0000-4000-8000-{n:012}"


TREE: Kinds = {"tree": Kind(key=["id"], texts=["id", "parent"], leads=[(["parent"], "tree", ["id"])])}


@pytest.fixture
def tree(app: psycopg.Connection) -> None:
    """Ten rows in a chain; the third one's id is no uuid."""
    app.execute("CREATE TABLE tree (id text PRIMARY KEY, parent text REFERENCES tree DEFERRABLE, note text)")
    names = [key(n) if n != 3 else "three" for n in range(10)]
    for n, name in enumerate(names):
        app.execute("INSERT INTO tree VALUES (%s, %s, %s)", [name, names[n - 1] if n else None, f"row {n}"])


@pytest.mark.usefixtures("tree")
def test_a_chain_within_one_table(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = plan(TREE, begin)
    rebuild.finish()
    assert check(app, rebuild, TREE) == 7
    assert one(app, "SELECT string_agg(note, ', ' ORDER BY id) FROM tree") == "row 0, row 1, row 2"


@pytest.mark.usefixtures("tree")
def test_a_ring_does_not_keep_itself_in(app: psycopg.Connection, begin: Begin) -> None:
    """Rows 5, 6 and 7 refer to each other in a ring that hangs on the bad row; then the ring is cut off from it."""
    app.execute("CREATE TABLE other (id text PRIMARY KEY, tree_id text REFERENCES tree)")
    app.execute("INSERT INTO other VALUES (%s, %s)", [key(77), key(7)])
    kinds = {**TREE, "other": Kind(key=["id"], texts=["id", "tree_id"], leads=[(["tree_id"], "tree", ["id"])])}
    rebuild = plan(kinds, begin)
    rebuild.until(TableState.COPYING)
    rebuild.ready()
    assert ("other", "{" + key(77) + "}") in kept(app, rebuild)
    app.execute("UPDATE tree SET parent = %s WHERE id = %s", [key(7), key(5)])
    rebuild.work("drain")
    add_drain(rebuild, "tree")
    rebuild.work("drain")
    found = kept(app, rebuild)
    assert ("tree", "{" + key(4) + "}") in found
    assert ("tree", "{" + key(5) + "}") not in found
    assert ("other", "{" + key(77) + "}") not in found
    rebuild.finish()
    assert check(app, rebuild, kinds) == 2


def test_two_tables_that_refer_to_each_other(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE a (id text PRIMARY KEY, b_n int, bad text)")
    app.execute("CREATE TABLE b (id text PRIMARY KEY, n int UNIQUE, a_id text REFERENCES a)")
    app.execute("ALTER TABLE a ADD FOREIGN KEY (b_n) REFERENCES b (n) ON UPDATE CASCADE")
    for n in range(6):
        app.execute("INSERT INTO a VALUES (%s)", [key(n)])
        app.execute("INSERT INTO b VALUES (%s, %s, %s)", [key(100 + n), n, key(n)])
    app.execute("UPDATE a SET b_n = (right(id, 2)::int + 1) %% 6, bad = CASE WHEN id = %s THEN 'x' END", [key(2)])
    kinds: Kinds = {
        "a": Kind(key=["id"], texts=["id", "bad"], leads=[(["b_n"], "b", ["n"])]),
        "b": Kind(key=["id"], texts=["id", "a_id"], leads=[(["a_id"], "a", ["id"])]),
    }
    rebuild = plan(kinds, begin)
    rebuild.ready()
    assert len(kept(app, rebuild)) == 12
    # The ring of twelve is bad because of one text; when that is corrected, all of it leaves
    app.execute("UPDATE a SET bad = NULL")
    app.execute("UPDATE b SET n = 50 WHERE n = 3")
    rebuild.finish()
    assert check(app, rebuild, kinds) == 0
    assert count(app, live("a")) == 6


def test_composite_keys_and_other_schemas(app: psycopg.Connection, begin: Begin) -> None:
    app.execute('CREATE SCHEMA "Other one"')
    app.execute("CREATE TABLE pair (a text, b text, n int, PRIMARY KEY (a, b))")
    app.execute(
        'CREATE TABLE "Other one"."the child" (n int PRIMARY KEY, "A a" text, "B b" text,'
        ' FOREIGN KEY ("A a", "B b") REFERENCES pair)'
    )
    for n in range(8):
        app.execute("INSERT INTO pair VALUES (%s, %s, %s)", [key(n), key(n) if n % 4 else f"bad {n}", n])
    app.execute('INSERT INTO "Other one"."the child" SELECT n, a, b FROM pair')
    app.execute('INSERT INTO "Other one"."the child" VALUES (100, \'bad\', NULL), (101, NULL, NULL)')
    rebuild = begin(
        table("pair", columns=[aside("a"), aside("b")]),
        table("the child", schema="Other one", columns=[aside("A a"), aside("B b")]),
    )
    rebuild.ready()
    app.execute("INSERT INTO pair VALUES ('bad', 'worse', 200)")
    app.execute("UPDATE pair SET n = -n WHERE b LIKE 'bad%'")
    rebuild.finish()
    found = kept(app, rebuild)
    assert {k for t, k in found if t == "the child"} == {"{0}", "{4}", "{100}"}
    assert count(app, live("pair")) == 6
    assert found["pair", "{bad,worse}"]["row"] == {"a": "bad", "b": "worse", "n": 200}
    assert one(app, 'SELECT count(*) FROM "Other one"."the child" JOIN pair ON (a, b) = ("A a", "B b")') == 6
    assert one(app, 'SELECT count(*) FROM "Other one"."the child"') == 7


def test_partitioned_tables(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE part (id text, at int, parent text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    app.execute("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (50)")
    app.execute("CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (50) TO (1000)")
    app.execute("CREATE TABLE leaf (id int PRIMARY KEY, p text, at int, FOREIGN KEY (p, at) REFERENCES part)")
    app.execute(
        "INSERT INTO part SELECT CASE WHEN g %% 10 = 0 THEN 'bad' || g ELSE %s || lpad(g::text, 4, '0') END, g"
        " FROM generate_series(1, 99) AS g",
        [key(0)[:-4]],
    )
    app.execute("INSERT INTO leaf SELECT at, id, at FROM part")
    rebuild = begin(table("part", columns=[aside("id")]), table("leaf", columns=[aside("p")]))
    rebuild.until(TableState.READY)
    app.execute("DELETE FROM leaf WHERE at >= 50")
    app.execute("TRUNCATE part_2, leaf")
    app.execute("INSERT INTO part VALUES ('new', 60), (%s, 61)", [key(61)])
    app.execute("INSERT INTO leaf VALUES (60, 'new', 60), (61, %s, 61)", [key(61)])
    rebuild.finish()
    kinds: Kinds = {
        "part": Kind(key=["id", "at"], texts=["id"]),
        "leaf": Kind(key=["id"], texts=["p"], leads=[(["p", "at"], "part", ["id", "at"])]),
    }
    assert check(app, rebuild, kinds) == 4 + 1 + 1


@pytest.mark.parametrize("state", [TableState.COPYING, TableState.INDEXING, TableState.READY])
def test_truncate_empties_quarantine_too(app: psycopg.Connection, begin: Begin, state: TableState) -> None:
    app.execute("CREATE TABLE p (id text PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p_id text REFERENCES p)")
    app.execute("INSERT INTO p VALUES ('bad'), ('worse'), (%s)", [key(1)])
    app.execute("INSERT INTO c VALUES (1, 'bad'), (2, %s)", [key(1)])
    kinds: Kinds = {
        "p": Kind(key=["id"], texts=["id"]),
        "c": Kind(key=["id"], texts=["p_id"], leads=[(["p_id"], "p", ["id"])]),
    }
    rebuild = plan(kinds, begin)
    rebuild.until(state)
    app.execute("TRUNCATE p CASCADE")
    app.execute("INSERT INTO p VALUES ('bad'), (%s)", [key(2)])
    app.execute("INSERT INTO c VALUES (1, %s), (3, 'bad')", [key(2)])
    rebuild.finish()
    assert check(app, rebuild, kinds) == 2


CHOSEN: Kinds = {
    "p": Kind(key=["id"], texts=["id", "bad"]),
    "c": Kind(key=["id"], texts=["id"], nulls=["p_id"], leads=[(["p_id"], "p", ["id"])]),
    "g": Kind(key=["id"], texts=["c_id"], leads=[(["c_id"], "c", ["id"])]),
}


@pytest.mark.parametrize("state", [TableState.PLANNED, TableState.COPYING, TableState.INDEXING, TableState.READY])
def test_null_at_the_child_lets_it_stay(app: psycopg.Connection, begin: Begin, state: TableState) -> None:
    """Also where the reference is a uuid, and its row is kept aside for another reason."""
    app.execute("CREATE TABLE p (id text PRIMARY KEY, bad text)")
    app.execute("CREATE TABLE c (id text PRIMARY KEY, p_id text REFERENCES p, note text)")
    app.execute("CREATE TABLE g (id int PRIMARY KEY, c_id text REFERENCES c)")
    for n in range(8):
        app.execute("INSERT INTO p VALUES (%s, %s)", [key(n) if n != 5 else "five", "x" if n in (2, 3) else None])
    app.execute("INSERT INTO c SELECT %s || right('00' || row_number() OVER (), 2), id FROM p", [key(0)[:-2]])
    app.execute("INSERT INTO g SELECT row_number() OVER (), id FROM c")
    rebuild = plan(CHOSEN, begin)
    rebuild.until(state)
    app.execute("UPDATE p SET bad = NULL WHERE id = %s", [key(2)])
    app.execute("UPDATE p SET bad = 'y' WHERE id = %s", [key(6)])
    app.execute("INSERT INTO p VALUES ('nine')")
    app.execute("INSERT INTO c VALUES (%s, 'nine')", [key(99)])
    rebuild.finish()
    assert check(app, rebuild, CHOSEN) == 4
    assert count(app, live("c")) == count(app, past("c")) == 9
    assert one(app, "SELECT count(*) FROM c WHERE p_id IS NULL") == 4


def test_between_the_last_look_and_the_lock(
    app: psycopg.Connection, begin: Begin, tree: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes in when all logs have been drained is settled and drained under the lock."""
    del tree
    rebuild = plan(TREE, begin)
    rebuild.ready()
    written: list[str] = []
    take_locks = Crossing.take_locks

    def late(crossing: Crossing) -> None:
        if not written:
            app.execute("UPDATE tree SET parent = NULL WHERE parent = 'three'")
            app.execute("INSERT INTO tree VALUES ('late', %s), (%s, 'late')", [key(9), key(50)])
            written.append("now")
        take_locks(crossing)

    monkeypatch.setattr(Crossing, "take_locks", late)
    rebuild.finish()
    assert written
    # Row three alone is left of the old chain; the late row and its child came in
    assert check(app, rebuild, TREE) == 3
    assert one(app, "SELECT rows_last_drain FROM replank.conversion_set") != 0


def test_null_within_one_table(app: psycopg.Connection, begin: Begin, tree: None) -> None:
    """The bad row alone goes; the one below it loses its parent and stays, until the bad one is corrected."""
    del tree
    kinds: Kinds = {"tree": Kind(key=["id"], texts=["id"], nulls=["parent"], leads=TREE["tree"].leads)}
    rebuild = plan(kinds, begin)
    rebuild.ready()
    assert set(kept(app, rebuild)) == {("tree", "{three}")}
    with app.transaction():
        app.execute("SET CONSTRAINTS ALL DEFERRED")
        app.execute("UPDATE tree SET id = %s WHERE id = 'three'", [key(3)])
        app.execute("UPDATE tree SET parent = %s WHERE parent = 'three'", [key(3)])
        app.execute("UPDATE tree SET id = 'seven' WHERE id = %s", [key(7)])
        app.execute("UPDATE tree SET parent = 'seven' WHERE parent = %s", [key(7)])
    rebuild.finish()
    assert check(app, rebuild, kinds) == 1
    assert one(app, "SELECT string_agg(note, ', ' ORDER BY id) FROM tree WHERE parent IS NULL") == "row 0, row 8"


def test_odd_spellings_are_no_reason_to_be_kept_aside(app: psycopg.Connection, begin: Begin) -> None:
    app.execute(
        "CREATE TABLE p (id text PRIMARY KEY, n int); CREATE TABLE c (id int PRIMARY KEY, p_id text REFERENCES p)"
    )
    app.execute("INSERT INTO p SELECT upper(gen_random_uuid()::text), g FROM generate_series(1, 30) AS g")
    app.execute("INSERT INTO p VALUES ('bad', 31); INSERT INTO c SELECT n, id FROM p")
    rebuild = begin(table("p", columns=[aside("id")]), table("c", columns=[aside("p_id")]))
    rebuild.ready()
    app.execute("UPDATE p SET n = -n WHERE n > 25")
    app.execute("INSERT INTO p VALUES ('worse', 32), ('{' || gen_random_uuid() || '}', 33)")
    app.execute("INSERT INTO c SELECT n, id FROM p WHERE n > 31")
    rebuild.finish()
    assert sorted(kept(app, rebuild)) == [("c", "{31}"), ("c", "{32}"), ("p", "{bad}"), ("p", "{worse}")]
    assert (
        one(
            app,
            "SELECT count(*) FROM c JOIN p ON p.id = p_id JOIN replank_past.p o ON lower(trim(o.id, '{}')) = p.id::text"
            " WHERE o.id NOT IN ('bad', 'worse') AND o.n = p.n",
        )
        == 31
    )
