"""Keys whose equality is not identity: 'USER5' and 'user5' are one citext, 1.0 and 1.00 one number, and two values.

The judge compares the text of each value, so a row that kept its key in another spelling is a row that was lost.
"""

import itertools
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.sql import SQL
from support.oracles.oracle import built, differences, live, one, past
from support.oracles.returning import go_back, keep, unlike
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, add_drain, table

from producer.rollback.compare import compare_tables
from protocol.caches.cached_shop import begin as begin_cached
from protocol.caches.cached_shop import present, until
from replank.values.chunk import Axis
from replank.values.states import TableState
from sql.drain.drain import delete_from_next, insert_into_next
from sql.rows.change_log import FEW_KEYS
from sql.rows.copy import chunks_between, copy_chunk, next_bounds
from sql.rows.split import halve
from sql.session.connection import apply_settings, run

pytestmark = [pytest.mark.protocol, pytest.mark.contrib]

Begin = Callable[..., Rebuild]

ROWS = 30


@dataclass(frozen=True, kw_only=True)
class Key:
    """A type, and three expressions over `n` that are equal and told apart by their text."""

    name: str
    type: str
    spelled: tuple[str, str, str]
    type_of: str = "pg_catalog"
    more: str = ""
    """Further columns of the key."""


KEYS = (
    Key(name="folded", type="shared.citext", spelled=("'User' || n", "'USER' || n", "'user' || n"), type_of="shared"),
    Key(name="domain", type="folded_domain", spelled=("'User' || n", "'USER' || n", "'user' || n"), type_of="shared"),
    Key(name="pair", type="shared.citext", spelled=("'a' || n", "'A' || n", "'a' || n"), type_of="shared", more=", m"),
    Key(name="elements", type="shared.citext[]", spelled=("ARRAY['Us' || n]", "ARRAY['us' || n]", "ARRAY['US' || n]")),
    Key(name="composite", type="composed", spelled=("ROW('Us' || n, n)", "ROW('US' || n, n)", "ROW('us' || n, n)")),
    Key(name="number", type="numeric", spelled=("n || '.0'", "n || '.00'", "n || ''")),
    Key(name="blanks", type="bpchar", spelled=("'user' || n", "'user' || n || ' '", "'user' || n || '  '")),
    Key(name="times", type="interval", spelled=("n || ' days'", "24 * n || ' hours'", "1440 * n || ' min'")),
    Key(name="ranges", type="numrange", spelled=("'[0,' || n || ')'", "'[0,' || n || '.0)'", "'[0.0,' || n || ')'")),
)  # fmt: skip

SETUP = """
CREATE SCHEMA shared; CREATE EXTENSION citext SCHEMA shared;
CREATE DOMAIN folded_domain AS shared.citext CHECK (VALUE <> '');
CREATE TYPE composed AS (name shared.citext, n int);
"""


TABLE = """
CREATE TABLE {0.name} (k {0.type}, m int DEFAULT 0, ref text DEFAULT gen_random_uuid()::text, note text DEFAULT 'new',
  PRIMARY KEY (k{0.more}));
INSERT INTO {0.name} (k) SELECT ({0.spelled[0]})::{0.type} FROM generate_series(1, 30) AS n
"""


@pytest.fixture
def keys(app: psycopg.Connection) -> Sequence[Key]:
    app.execute(SETUP.encode())
    for key in KEYS:
        app.execute(TABLE.format(key).encode())
    return KEYS


class Application:
    """Writes to one table, each row told by a number; counts what was acknowledged."""

    def __init__(self, app: psycopg.Connection, key: Key) -> None:
        self.app, self.key, self.acknowledged = app, key, 0

    def _same(self, n: int, spelling: int) -> str:
        return f"k OPERATOR({self.key.type_of}.=) {self._value(n, spelling)}"

    def _value(self, n: int, spelling: int) -> str:
        value = f"({self.key.spelled[spelling]})::{self.key.type}"
        return f"(SELECT {value} FROM (VALUES ({n})) AS v (n))"  # noqa: S608

    def _execute(self, statement: str, n: int, spelling: int) -> None:
        said = statement.format(t=self.key.name, same=self._same(n, spelling), value=self._value(n, spelling))
        assert self.app.execute(said.encode()).rowcount == 1, said
        self.acknowledged += 1

    def insert(self, n: int, spelling: int) -> None:
        self._execute("INSERT INTO {t} (k) VALUES ({value})", n, spelling)

    def delete(self, n: int, spelling: int) -> None:
        self._execute("DELETE FROM {t} WHERE {same}", n, spelling)

    def respell(self, n: int, spelling: int) -> None:
        self._execute("UPDATE {t} SET k = {value} WHERE {same}", n, spelling)

    def change(self, n: int, spelling: int) -> None:
        self._execute("UPDATE {t} SET note = note || '.' WHERE {same}", n, spelling)

    def work(self, between: Callable[[], None], first: int) -> None:
        """`between` lets the run drain what has come in."""
        self.delete(first, 1)
        self.insert(first, 1)
        self.respell(first + 1, 2)
        with self.app.transaction():
            self.delete(first + 2, 2)
            self.insert(first + 2, 1)
            self.respell(first + 2, 2)
        self.delete(first + 3, 0)
        self.respell(first + 4, 1)
        between()
        self.insert(first + 3, 2)
        self.respell(first + 4, 2)
        self.change(first + 4, 0)
        between()
        self.delete(first + 4, 0)
        self.insert(ROWS + first, 0)
        self.delete(ROWS + first, 1)
        self.insert(ROWS + first, 2)
        self.change(first + 5, 2)


@pytest.mark.attack("A2", "Keys deleted, inserted and updated in another spelling that is equal to them")
def test_a_key_in_another_spelling_is_followed_there_and_back(
    app: psycopg.Connection, begin: Begin, keys: Sequence[Key], attack: Attack
) -> None:
    rebuild = begin(*[table(key.name, "ref") for key in keys])
    rebuild.ready()
    writers = [Application(app, key) for key in keys]

    def drained(name: str) -> None:
        add_drain(rebuild, name)
        rebuild.work("drain")
        rebuild.refuse_stuck()

    for writer in writers:
        writer.work(lambda name=writer.key.name: drained(name), first=1)  # type: ignore[misc]
    with rebuild.new_worker("verify").connection as verifying:
        assert {c.name: c.mismatches for c in compare_tables(verifying, rebuild.run)} == {
            f"public.{key.name}": 0 for key in keys
        }
    rebuild.swap()
    lost = {key.name: differences(app, past(key.name), live(key.name), {"ref"}) for key in keys}
    assert lost == {key.name: [] for key in keys}
    assert one(app, "SELECT count(*) FROM replank.job WHERE kind = 'repair'") == 0
    rebuild.finish()
    attack.record(
        "swapped; every row with the spelling that it was given last",
        tried=len(keys),
        acknowledged=sum(writer.acknowledged for writer in writers),
        lost=0,
    )

    for writer in writers:
        writer.acknowledged = 0
        writer.work(lambda: None, first=11)
        keep(app, live(writer.key.name), writer.key.name)
    go_back(rebuild)
    kept = ["t.k::text", "t.m", "t.ref::uuid", "t.note"]
    assert {k.name: unlike(app, live(k.name), k.name, kept) for k in keys} == {k.name: [] for k in keys}
    attack.record(
        "rolled back; every row with the spelling that it was given last",
        tried=len(keys),
        acknowledged=sum(writer.acknowledged for writer in writers),
        lost=0,
    )


@pytest.mark.attack("A2", "Keys that are equal and not the same, while the table is copied, drained and indexed")
def test_a_key_in_another_spelling_while_the_table_is_copied(
    app: psycopg.Connection, begin: Begin, keys: Sequence[Key], attack: Attack
) -> None:
    keys = [key for key in keys if key.name in ("folded", "number", "blanks")]
    rebuild = begin(*[table(key.name, "ref", axis="primary_key") for key in keys])
    writers = [Application(app, key) for key in keys]
    for state, first in ((TableState.COPYING, 1), (TableState.INDEXING, 11), (TableState.CATCHING_UP, 21)):
        rebuild.until(state)
        for writer in writers:
            writer.work(lambda: None, first=first)
    rebuild.finish()
    assert {k.name: differences(app, past(k.name), live(k.name), {"ref"}) for k in keys} == {k.name: [] for k in keys}
    assert one(app, "SELECT count(*) FROM replank.job WHERE kind = 'repair'") == 0
    attack.record(
        "swapped; every row with the spelling that it was given last",
        tried=len(keys),
        acknowledged=sum(writer.acknowledged for writer in writers),
        lost=0,
    )


def test_ranges_of_a_key_hold_each_row_once(app: psycopg.Connection, begin: Begin) -> None:
    """The order of a citext is not its text's: cut in the one and compared in the other, rows would be copied twice."""
    app.execute(SETUP.encode())
    app.execute(
        "CREATE TABLE a (k shared.citext PRIMARY KEY, ref text);"
        "INSERT INTO a SELECT CASE n % 3 WHEN 0 THEN upper(md5(n::text)) ELSE md5(n::text) END, gen_random_uuid()"
        " FROM generate_series(1, 500) AS n;"
        "CREATE TABLE b (k shared.citext, part int, at timestamptz, ref text, PRIMARY KEY (part, k, at));"
        "INSERT INTO b SELECT k, length(k::text) % 3, 'epoch', ref FROM a"
    )
    rebuild = begin(table("a", "ref"), table("b", "ref"))
    rebuild.until(TableState.COPYING)
    for name in ("a", "b"):
        spec, connection = rebuild.spec(name), rebuild.connection
        bounds = next_bounds(connection, spec, after=None, rows_per_chunk=20, count=1000)
        chunks = chunks_between(Axis.PRIMARY_KEY, None, bounds, last=True)
        copied = [copy_chunk(connection, spec, chunk) for chunk in chunks]
        assert copied == [19, *[20] * 24, 1]
        assert differences(app, live(name), built(name), {"ref"}) == []
        halves = halve(connection, spec, chunks[3]).chunks
        app.execute(f"TRUNCATE replank_next.{name}".encode())
        assert [copy_chunk(connection, spec, half) for half in halves] == [10, 10]


def test_drains_find_their_rows_by_the_index_of_the_key(app: psycopg.Connection, begin: Begin) -> None:
    """Of a citext, and of a plain key as ever."""
    app.execute(SETUP.encode())
    app.execute(
        "CREATE TABLE folded (k shared.citext PRIMARY KEY, ref text); CREATE TABLE plain (LIKE folded);"
        "ALTER TABLE plain ALTER k TYPE text, ADD PRIMARY KEY (k);"
        "INSERT INTO plain SELECT 'User' || n, gen_random_uuid() FROM generate_series(1, 3000) AS n;"
        "INSERT INTO folded SELECT * FROM plain"
    )
    rebuild = begin(table("folded", "ref"), table("plain", "ref"))
    rebuild.ready()
    app.execute("UPDATE folded SET ref = gen_random_uuid() WHERE k = 'User5'; UPDATE plain SET ref = gen_random_uuid()")
    for name in ("folded", "plain"):
        spec, connection = rebuild.spec(name), rebuild.connection
        with connection.transaction():
            apply_settings(connection, FEW_KEYS, local=True)
            for statement in (delete_from_next(connection, spec, everything=False), insert_into_next(connection, spec)):
                plan = "\n".join(line for (line,) in run(connection, SQL("EXPLAIN {}").format(statement)))
                assert f"Index Scan using {name}_pkey" in plan, plan


def test_a_key_that_compares_otherwise_than_its_type_is_not_taken(app: psycopg.Connection, begin: Begin) -> None:
    """Another unique index serves where there is one."""
    app.execute(SETUP.encode())
    app.execute("CREATE TABLE t (k shared.citext NOT NULL, n int NOT NULL UNIQUE, ref text)")
    app.execute("CREATE UNIQUE INDEX a_strict ON t (k text_ops)")
    app.execute("INSERT INTO t SELECT 'User' || n, n, gen_random_uuid() FROM generate_series(1, 9) AS n")
    rebuild = begin(table("t", "ref"))
    assert rebuild.spec("t").key == ("n",)
    rebuild.ready()
    app.execute("INSERT INTO t VALUES ('user5', 10, gen_random_uuid())")
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"ref"}) == []


def test_a_row_is_kept_aside_with_its_parent_in_another_case(app: psycopg.Connection, begin: Begin) -> None:
    """Quarantine follows foreign keys as PostgreSQL does."""
    app.execute(SETUP.encode())
    app.execute(
        "CREATE TABLE p (k shared.citext PRIMARY KEY, n numeric(9, 3), u text, UNIQUE (k, n));"
        "CREATE TABLE c (id int PRIMARY KEY, k shared.citext REFERENCES p, ref text);"
        "CREATE TABLE d (k shared.citext, n numeric, PRIMARY KEY (n, k), FOREIGN KEY (k, n) REFERENCES p (k, n));"
        "INSERT INTO p SELECT 'Key ' || n, n, CASE n % 4 WHEN 0 THEN 'bad' END FROM generate_series(1, 20) AS n;"
        "INSERT INTO c SELECT n, 'KEY ' || n, gen_random_uuid() FROM generate_series(1, 20) AS n;"
        "INSERT INTO d SELECT 'kEy ' || n, n FROM generate_series(1, 20) AS n"
    )
    kept = [{"name": "u", "to": "uuid", "on_invalid": "quarantine"}]
    rebuild = begin(table("p", columns=kept), table("c", "ref"), table("d", method="rebuild"))
    rebuild.ready()
    app.execute("UPDATE c SET k = 'kEY 8' WHERE id = 8; UPDATE c SET k = 'kEY 7' WHERE id = 4")
    app.execute("UPDATE p SET u = NULL WHERE k = 'Key 12'; UPDATE p SET u = 'bad' WHERE k = 'Key 13'")
    app.execute("INSERT INTO c VALUES (21, 'key 16', NULL)")
    rebuild.finish()
    bad = {8, 13, 16, 20, 21}
    assert [n for (n,) in app.execute("SELECT id FROM c ORDER BY 1")] == [n for n in range(1, 22) if n not in bad]
    assert [n for (n,) in app.execute("SELECT n::int FROM d ORDER BY 1")] == [
        n for n in range(1, 21) if n not in {4, 8, 13, 16, 20}
    ]
    assert one(app, "SELECT k::text FROM c WHERE id = 4") == "kEY 7"


def test_a_cache_is_kept_in_step_by_values_in_another_case(app: psycopg.Connection, database: str) -> None:
    """Rows of the cache are found by the equality of its column, and each range of it holds each row once."""
    app.execute("CREATE EXTENSION citext; CREATE TABLE entry (id int PRIMARY KEY, who citext)")
    app.execute("CREATE TABLE tally (who citext PRIMARY KEY, n bigint)")
    app.execute(
        "INSERT INTO entry SELECT n, CASE n % 3 WHEN 0 THEN 'USER' ELSE 'user' END || n % 50"
        " FROM generate_series(1, 400) AS n"
    )
    query = "SELECT who, count(*) AS n FROM public.entry GROUP BY who"
    app.execute(f"INSERT INTO tally {query}".encode())
    cache = {"kind": "table", "name": "tally", "query": query, "chunk_by": "who", "chunks": 7}
    with closing(begin_cached(database, {**cache, "keep_in_step": ["public.entry"]})) as rebuild:
        turns = itertools.count(401)

        def write() -> None:
            if present(rebuild).state in ("swapped", "done"):
                return
            n = next(turns)
            app.execute("INSERT INTO entry VALUES (%s, %s)", [n, f"uSeR{n % 50}"])
            app.execute("DELETE FROM entry WHERE id = %s", [n - 317])

        until(rebuild, "swapped", look=write)
        assert next(turns) > 410
        both = (
            "SELECT lower(who::text), n FROM tally EXCEPT ALL SELECT lower(who::text), count(*) FROM entry GROUP BY 1"
        )
        assert app.execute(both.encode()).fetchall() == []
        assert one(app, "SELECT count(*) FROM tally") == 50
        rebuild.finish()
