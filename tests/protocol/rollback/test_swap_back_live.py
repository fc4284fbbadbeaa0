"""There and back while clients write: no acknowledged write is lost, whichever table it went to."""

import random
from collections.abc import Callable

import psycopg
import pytest
from support.oracles.journal_oracle import foreign_keys_hold
from support.oracles.oracle import count, live, one
from support.oracles.returning import catalogue, changed, everything_left, go_back, keep, unlike
from support.runs.harness import Rebuild, Url, table
from support.schemas.small_shop import COLUMNS, create_small_shop
from support.writers.journal_writers import JournalWriters

from producer.rollback.rollback import roll_back
from replank.errors import NeedsOperator
from replank.values.states import RunState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

TABLES = tuple(("public", name) for name in COLUMNS)
PLANNED = tuple(table(name, *columns) for name, columns in COLUMNS.items())


@pytest.fixture
def small_shop(database: Url) -> None:
    create_small_shop(database, orders=2_000)


@pytest.mark.usefixtures("small_shop")
def test_no_write_is_lost_there_and_back_and_there_again(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    before = catalogue(database, ["public"])
    with JournalWriters(url=database, tables=TABLES, clients=4, rate=300) as writers:
        writers.wait_for_writes(100)
        rebuild = begin(*PLANNED)
        rebuild.finish()
        writers.wait_for_writes(300)
        said = go_back(rebuild)
        rebuild.close()
        writers.wait_for_writes(100)
        assert everything_left(app) == []
        assert changed(before, catalogue(database, ["public"])) == {}
        begin(*PLANNED).finish()
        writers.wait_for_writes(100)
        journal = writers.stop()
    assert any("are live again" in words for words in said)
    assert (journal.find_lost(database), journal.errors, journal.unknown) == ([], [], 0)
    assert journal.kinds.keys() >= {"insert", "update", "delete"}
    assert foreign_keys_hold(database) == []


@pytest.mark.usefixtures("small_shop")
def test_the_control_loses_what_was_not_captured(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    """With a capture that writes nothing down, the same writes are seen to be missing, and nothing changes places."""
    rebuild = begin(*PLANNED)
    rebuild.finish()
    for number in (1, 2):
        app.execute(
            f"CREATE OR REPLACE FUNCTION replank.capture_back_1_{number}() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RETURN NULL; END $$".encode()
        )
    with JournalWriters(url=database, tables=TABLES, clients=2, rate=300) as writers:
        writers.wait_for_writes(60)
        journal = writers.stop()
    with pytest.raises(NeedsOperator, match="past and new table differ"):
        go_back(rebuild)
    assert journal.find_lost(database) == []
    assert rebuild.run.state is RunState.DONE


HOUR = """
INSERT INTO a (id, n, note) SELECT gen_random_uuid(), g, 'new' FROM generate_series(10001, 14000) AS g;
UPDATE a SET note = note || '!' WHERE n % 7 = 0;
UPDATE b SET a_id = (SELECT id FROM a WHERE a.n = 10000 + b.n % 3000 + 1) WHERE n % 5 = 0;
DELETE FROM b WHERE n % 11 = 0;
UPDATE a SET id = gen_random_uuid() WHERE n % 13 = 0;
DELETE FROM a WHERE n % 17 = 0;
UPDATE a SET n = CASE n WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE n END WHERE n IN (1, 2);
TRUNCATE c;
INSERT INTO c SELECT id, n FROM a WHERE n % 2 = 0
"""


def test_an_hour_of_changes_in_bulk(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE a (id text PRIMARY KEY, n int UNIQUE DEFERRABLE, note text)")
    app.execute(
        "CREATE TABLE b (id text PRIMARY KEY, a_id text REFERENCES a ON DELETE SET NULL ON UPDATE CASCADE, n int)"
    )
    app.execute("CREATE INDEX ON b (a_id); CREATE TABLE c (id varchar(36) PRIMARY KEY, n int)")
    app.execute(
        "INSERT INTO a SELECT CASE g % 3 WHEN 0 THEN upper(md5(g::text)::uuid::text) ELSE md5(g::text)::uuid::text END,"
        " g, 'old' FROM generate_series(1, 9000) AS g"
    )
    app.execute("INSERT INTO b SELECT gen_random_uuid()::text, id, n FROM a")
    app.execute("INSERT INTO c SELECT gen_random_uuid()::text, n FROM a")
    rebuild = begin(table("a", "id"), table("b", "id", "a_id"), table("c", "id"))
    rebuild.finish()
    for statement in HOUR.split(";\n"):
        app.execute(statement.encode())
    for name in ("a", "b", "c"):
        keep(app, live(name), name)
    kept = app.execute("SELECT n, ctid::text FROM replank_past.a WHERE n = 3").fetchall()
    go_back(rebuild)
    # The same rows by their uuids, and of those that were there before the same texts.
    for name, columns in {"a": ["id", "n", "note"], "b": ["id", "a_id", "n"], "c": ["id", "n"]}.items():
        said = [f"t.{c}::text::uuid" if c in ("id", "a_id") else f"t.{c}" for c in columns]
        assert unlike(app, live(name), name, said) == [], name
    assert one(app, "SELECT count(*) FROM b WHERE a_id IS NOT NULL AND NOT EXISTS (SELECT FROM a WHERE id = a_id)") == 0
    spelled = (
        "SELECT count(*) FROM a WHERE note LIKE 'old%' AND n % 13 <> 0 AND n > 2 AND (n % 3 = 0) <> (id = upper(id))"
    )
    assert one(app, spelled) == 0
    # A row that nobody changed was not written.
    assert app.execute("SELECT n, ctid::text FROM a WHERE n = 3").fetchall() == kept
    assert count(app, live("c")) > 0


@pytest.mark.parametrize("seed", range(4))
def test_random_changes_between_rounds(app: psycopg.Connection, begin: Begin, database: Url, seed: int) -> None:
    """Swaps of unique values, keys that come and go: each round drains at another moment."""
    chance = random.Random(seed)
    app.execute("CREATE TABLE p (id text PRIMARY KEY, u int UNIQUE, v text)")
    app.execute("CREATE TABLE k (a text, b int, p_id text REFERENCES p ON DELETE CASCADE, PRIMARY KEY (a, b))")
    keys = [f"0fd00f6b-0000-4000-8000-{n:012}" for n in range(12)]
    for n, key in enumerate(keys[:8]):
        app.execute("INSERT INTO p VALUES (%s, %s, '')", [key.upper() if n % 2 else key, n])
        app.execute("INSERT INTO k SELECT %s, %s, id FROM p WHERE u = %s", [keys[n // 2], n, n])
    rebuild = begin(table("p", "id"), table("k", "a", "p_id"))
    rebuild.finish()
    statements = [
        "INSERT INTO p VALUES (%(x)s, NULL, 'new') ON CONFLICT (id) DO UPDATE SET v = p.v || 'up'",
        "UPDATE p SET v = v || '.' WHERE id = %(x)s",
        "DELETE FROM p WHERE id = %(x)s",
        "UPDATE p SET u = CASE id WHEN %(x)s THEN NULL ELSE u END",
        "INSERT INTO k SELECT %(x)s, %(n)s, id FROM p WHERE id = %(y)s ON CONFLICT DO NOTHING",
        "UPDATE k SET p_id = NULL WHERE b = %(n)s",
        "UPDATE k SET b = b + 100 WHERE a = %(x)s",
        "TRUNCATE k",
    ]

    def write() -> None:
        for _ in range(12):
            values = {"x": chance.choice(keys), "y": chance.choice(keys), "n": chance.randrange(9)}
            with psycopg.connect(database) as other:
                other.execute(chance.choice(statements).encode(), values)

    write()
    rounds = iter(range(3))
    go_back_with(rebuild, lambda: write() if next(rounds, None) is not None else None)
    kept = [("p", ["id", "u", "v"]), ("k", ["a", "b", "p_id"])]
    for name, columns in kept:
        said = [f"t.{c}::text::uuid" if c in ("id", "a", "p_id") else f"t.{c}" for c in columns]
        assert unlike(app, live(name), name, said) == [], name
    assert one(app, "SELECT count(*) FROM k WHERE p_id IS NOT NULL AND NOT EXISTS (SELECT FROM p WHERE id = p_id)") == 0
    assert everything_left(app) == []


def go_back_with(rebuild: Rebuild, meanwhile: Callable[[], None]) -> None:
    """The application writes whenever the rollback says something; what new held at the end is kept."""

    def say(words: str) -> None:
        meanwhile()
        if words.startswith("set ") and "are live again" in words:
            for name in ("p", "k"):
                keep(rebuild.connection, ("replank_rolled_back", name), name)

    roll_back(rebuild.connection, say=say, sleep=lambda _: None)
