"""Corrections of quarantined rows from a file: a key with all that refers to it, whatever its foreign keys say."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import one
from support.oracles.quarantine_oracle import Kind, Kinds
from support.runs.harness import Rebuild

from producer.operator.correcting import Line, fix, fix_one
from producer.operator.operator import Operator
from replank.errors import WrongUse

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]
ANNA = Operator(name="anna", via="command line")
GOOD = [f"0fd00f6b-0000-4000-8000-00000000000{n}" for n in range(4)]
KINDS: Kinds = {
    "people": Kind(key=["id"], texts=["id", "friend"], leads=[(["friend"], "people", ["id"])]),
    "letter": Kind(key=["n"], texts=["to"], leads=[(["to"], "people", ["id"])]),
}


@pytest.fixture(params=["", "ON UPDATE RESTRICT", "ON UPDATE CASCADE", "DEFERRABLE"])
def ready(app: psycopg.Connection, begin: Begin, request: pytest.FixtureRequest) -> Rebuild:
    """Two friends whose ids are no uuids, and letters to them, before the cutover."""
    rule = request.param
    app.execute(f"CREATE TABLE people (id text PRIMARY KEY, friend text REFERENCES people {rule})".encode())
    app.execute(
        f'CREATE TABLE letter (n int PRIMARY KEY, "to" text NOT NULL REFERENCES people {rule}, note text)'.encode()
    )
    app.execute("INSERT INTO people SELECT gen_random_uuid() FROM generate_series(1, 9)")
    app.execute("INSERT INTO people VALUES ('Ann', NULL), ('Bob', 'Ann')")
    app.execute("UPDATE people SET friend = 'Bob' WHERE id = 'Ann'")
    app.execute("INSERT INTO letter SELECT row_number() OVER (), id FROM people")
    rebuild = begin(*(kind.planned(name) for name, kind in KINDS.items()))
    rebuild.ready()
    return rebuild


def _rows(app: psycopg.Connection, query: str) -> list[tuple[object, ...]]:
    return app.execute(query.encode()).fetchall()


def _lines(ann: str, bob: str) -> list[Line]:
    """Everything that was exported, with both names replaced throughout."""
    new = {"Ann": ann, "Bob": bob}
    return [
        *(Line(number=n, table="public.people", key=(old,), column="id", value=new[old]) for n, old in enumerate(new)),
        Line(number=3, table="public.people", key=("Ann",), column="friend", value=bob),
        Line(number=4, table="public.people", key=("Bob",), column="friend", value=ann),
        Line(number=5, table="public.letter", key=("10",), column="to", value=ann),
        Line(number=6, table="public.letter", key=("11",), column="to", value=bob),
    ]


def test_a_key_and_all_that_refers_to_it_are_corrected_together(app: psycopg.Connection, ready: Rebuild) -> None:
    said = fix(ready.connection, ready.run, _lines(GOOD[0], GOOD[1]), by=ANNA, source="aside.csv")
    assert "values corrected in the live tables: 6; not changed: 0" in said
    assert _rows(app, "SELECT id, friend FROM people WHERE friend IS NOT NULL ORDER BY 1") == [
        (GOOD[0], GOOD[1]),
        (GOOD[1], GOOD[0]),
    ]
    ready.finish()
    # By plain SQL: all are there, each letter with who it is to, nothing is kept aside
    assert one(app, "SELECT count(*) FROM people") == 11
    assert one(app, 'SELECT count(*) FROM letter JOIN people ON people.id = letter."to"') == 11
    assert one(app, f"SELECT friend::text FROM people WHERE id = '{GOOD[0]}'") == GOOD[1]  # noqa: S608
    assert one(app, "SELECT coalesce(sum(rows), 0)::int FROM replank.quarantine") == 0


def test_all_or_none(app: psycopg.Connection, ready: Rebuild) -> None:
    before = _rows(app, 'SELECT id, friend FROM people UNION ALL SELECT n::text, "to" FROM letter ORDER BY 1, 2')
    for lines, words in (
        (_lines(GOOD[0], "Robert"), "does not convert either"),
        (
            [*_lines(GOOD[0], GOOD[1]), Line(number=9, table="public.letter", key=("1",), column="to", value="x")],
            "quarantined",
        ),
        ([*_lines(GOOD[0], GOOD[1])] * 2, "is listed twice"),
    ):
        with pytest.raises(WrongUse, match=words):
            fix(ready.connection, ready.run, lines, by=ANNA, source="aside.csv")
    app.execute("UPDATE letter SET note = 'written meanwhile' WHERE n = 10")
    app.execute("INSERT INTO people VALUES ('Cid', NULL)")
    app.execute("UPDATE people SET friend = 'Cid' WHERE id = 'Bob'")
    with pytest.raises(WrongUse, match=r"the live row has changed since the export|may have changed since"):
        fix(ready.connection, ready.run, _lines(GOOD[0], GOOD[1]), by=ANNA, source="aside.csv")
    app.execute("UPDATE people SET friend = 'Ann' WHERE id = 'Bob'")
    app.execute("DELETE FROM people WHERE id = 'Cid'")
    after = _rows(app, 'SELECT id, friend FROM people UNION ALL SELECT n::text, "to" FROM letter ORDER BY 1, 2')
    assert after == before


def test_one_key_takes_along_all_that_refers_to_it(app: psycopg.Connection, ready: Rebuild) -> None:
    """As the page does it: one value, whatever the foreign keys say of updates, and another one after it."""
    # Given a letter that was written a moment ago, and is not kept aside yet
    app.execute("INSERT INTO letter VALUES (99, 'Ann')")
    to_ann = _rows(app, """SELECT n FROM letter WHERE "to" = 'Ann' ORDER BY 1""")
    ann = Line(table="public.people", key=("Ann",), column="id", value=GOOD[0])
    said = fix_one(ready.connection, ready.run, ann, by=ANNA, source="the page")
    assert "values corrected in the live tables: 4 (" in said
    assert _rows(app, "SELECT id, friend FROM people WHERE friend IS NOT NULL ORDER BY 1") == [
        (GOOD[0], "Bob"),
        ("Bob", GOOD[0]),
    ]
    assert _rows(app, f"""SELECT n FROM letter WHERE "to" = '{GOOD[0]}' ORDER BY 1""") == to_ann  # noqa: S608
    assert len(to_ann) == 2
    with pytest.raises(WrongUse, match="does not convert either"):
        fix_one(
            ready.connection,
            ready.run,
            Line(table="public.people", key=("Bob",), column="id", value="Robert"),
            by=ANNA,
            source="the page",
        )
    bob = Line(table="public.people", key=("Bob",), column="id", value=GOOD[1])
    fix_one(ready.connection, ready.run, bob, by=ANNA, source="the page")
    ready.finish()
    assert one(app, "SELECT count(*) FROM people") == 11
    assert one(app, 'SELECT count(*) FROM letter JOIN people ON people.id = letter."to"') == 12
    assert one(app, f"SELECT friend::text FROM people WHERE id = '{GOOD[0]}'") == GOOD[1]  # noqa: S608
    assert one(app, "SELECT coalesce(sum(rows), 0)::int FROM replank.quarantine") == 0
