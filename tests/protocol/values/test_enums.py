"""Text columns become enums in the same pass as ids become uuids; a plain CASE in SQL is the judge."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.oracles.oracle import column_type, live, one, past
from support.oracles.returning import catalogue, changed, everything_left, go_back, keep, unlike
from support.runs.harness import Rebuild, Table, Url, table

from monitoring.catalogue_diff.changes import catalogue_changes
from replank.errors import NeedsOperator, WrongUse
from replank.values.states import RunState, TableState

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

Begin = Callable[..., Rebuild]

SCHEMA = """
CREATE TYPE "Booking Status" AS ENUM ('OPEN', 'IN_PROGRESS', 'DONE', 'it''s 100% {odd}');
CREATE TYPE size AS ENUM ('small', 'large');
CREATE TABLE guest (id text PRIMARY KEY, size varchar(10) DEFAULT 'small');
CREATE TABLE booking (id text PRIMARY KEY, guest_id text REFERENCES guest, status text NOT NULL DEFAULT 'in progress'
  CONSTRAINT known CHECK (status IN ('open', 'in progress', 'doing', 'DONE', 'never', 'it''s odd')),
  size varchar(10) DEFAULT 'small', code char(6), n int UNIQUE,
  CONSTRAINT sized CHECK (size = ANY (ARRAY['small', 'large'])), CONSTRAINT there CHECK (size IS NOT NULL));
COMMENT ON CONSTRAINT known ON booking IS 'all of them';
CREATE INDEX booking_status ON booking (status, n);
CREATE UNIQUE INDEX under_way ON booking (id) WHERE status IN ('in progress', 'doing');
CREATE INDEX not_small ON booking (n) WHERE size <> 'small';
CREATE VIEW by_status AS SELECT status, count(*) FROM booking GROUP BY status;
INSERT INTO guest SELECT gen_random_uuid()::text, CASE WHEN g % 2 = 0 THEN 'large' END FROM generate_series(1, 9) AS g;
INSERT INTO booking
  SELECT gen_random_uuid()::text, (SELECT id FROM guest ORDER BY id OFFSET g % 9 LIMIT 1),
         (ARRAY['open', 'in progress', 'doing', 'DONE', 'it''s odd'])[1 + g % 5],
         (ARRAY['small', 'large'])[1 + g % 2], (ARRAY['small', 'large', NULL])[1 + g % 3], g
    FROM generate_series(1, 300) AS g
"""
MAP = {"open": "OPEN", "in progress": "IN_PROGRESS", "doing": "IN_PROGRESS", "it's odd": "it's 100% {odd}"}
STATUS = {"name": "status", "to": "enum", "type": "Booking Status", "map": MAP}
SIZE = {"name": "size", "to": "enum", "type": "public.size"}
CODE = {"name": "code", "to": "enum", "type": "size"}
UUIDS = [{"name": name, "to": "uuid"} for name in ("id", "guest_id")]
BOOKING = table("booking", columns=[*UUIDS, STATUS, SIZE, CODE])
GUEST = table("guest", columns=[UUIDS[0], SIZE])

JUDGED = (
    "t.id::uuid, t.guest_id::uuid, CASE t.status::text WHEN 'open' THEN 'OPEN' WHEN 'in progress' THEN 'IN_PROGRESS'"
    " WHEN 'doing' THEN 'IN_PROGRESS' WHEN 'it''s odd' THEN 'it''s 100% {odd}' ELSE t.status::text END, t.size::text,"
    " t.code::text, t.n"
)
"""A row as the enums say it; of one that has enums already, as it is."""


def _script(app: psycopg.Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        app.execute(statement.encode())


def _unlike(app: psycopg.Connection) -> list[tuple[object, ...]]:
    """Rows that stand only in the past or only in the live table, both said in values of the enums."""
    past_rows, live_rows = (
        SQL("SELECT {} FROM {} AS t").format(SQL(JUDGED), Identifier(*name))
        for name in (past("booking"), live("booking"))
    )
    both = SQL("({0} EXCEPT ALL {1}) UNION ALL ({1} EXCEPT ALL {0})").format(past_rows, live_rows)
    return app.execute(both).fetchall()


@contextmanager
def _writing(url: Url) -> Iterator[None]:
    """A client that inserts, changes and deletes until it is told to stop; of its errors none is expected."""
    stop, failed = threading.Event(), []

    def write() -> None:
        number = 1_000
        with psycopg.connect(url, autocommit=True) as session:
            while not stop.is_set():
                number += 1
                try:
                    session.execute(
                        "INSERT INTO booking (id, status, n) VALUES (gen_random_uuid()::text, 'doing', %s)", [number]
                    )
                    session.execute("UPDATE booking SET status = 'open', code = 'large' WHERE n = %s", [number - 3])
                    session.execute("UPDATE booking SET status = 'DONE' WHERE n = %s", [number % 300])
                    session.execute("DELETE FROM booking WHERE n = %s", [number - 7])
                    session.execute("UPDATE booking SET status = DEFAULT, size = 'large' WHERE n = %s", [number % 97])
                except psycopg.Error as error:
                    failed.append(str(error))
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
    assert failed == []


@pytest.mark.core
@pytest.mark.parametrize("state", [TableState.COPYING, TableState.READY])
def test_texts_become_values_under_writers(
    app: psycopg.Connection, begin: Begin, database: Url, state: TableState
) -> None:
    _script(app, SCHEMA)
    rebuild = begin(BOOKING, GUEST)
    with _writing(database):
        rebuild.until(state)
    app.execute("UPDATE booking SET id = upper(id) WHERE n % 10 = 3")
    app.execute("UPDATE booking SET n = -n, status = 'in progress' WHERE n % 7 = 3")
    # However far the writer came, each value is there
    for number, status in enumerate(("open", "DONE", "it's odd")):
        app.execute(
            "INSERT INTO booking (id, status, n) VALUES (gen_random_uuid()::text, %s, %s)", [status, -900_000 - number]
        )
    rebuild.finish()
    assert _unlike(app) == []
    assert one(app, "SELECT count(DISTINCT status) FROM booking") == 4
    assert column_type(app, live("booking"), "status") == '"Booking Status"'
    assert column_type(app, live("by_status"), "status") == '"Booking Status"'
    assert column_type(app, live("booking"), "code") == column_type(app, live("guest"), "size") == "size"
    predicates = "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '% WHERE %' AND schemaname = 'public' ORDER BY 1"
    assert [definition.partition(" WHERE ")[2] for (definition,) in app.execute(predicates)] == [
        "(size <> 'small'::size)", """(status = 'IN_PROGRESS'::"Booking Status")"""
    ]  # fmt: skip
    # Defaults are values, and CHECKs list them
    defaults = "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'booking'::regclass ORDER BY adnum"
    assert app.execute(defaults).fetchall() == [("""'IN_PROGRESS'::"Booking Status\"""",), ("'small'::size",)]
    with pytest.raises(psycopg.errors.CheckViolation, match="there"):
        app.execute("INSERT INTO booking (id, size, n) VALUES (gen_random_uuid(), NULL, -1)")
    app.execute("ALTER TYPE \"Booking Status\" ADD VALUE 'LATER'")
    with pytest.raises(psycopg.errors.CheckViolation, match="known"):
        app.execute("INSERT INTO booking (id, status, n) VALUES (gen_random_uuid(), 'LATER', -1)")
    told = catalogue_changes(rebuild.connection, rebuild.run)
    assert [change for change in told if not change.explained] == []
    assert one(app, "SELECT obj_description(oid) FROM pg_constraint WHERE conname = 'known' AND conrelid ="
               " 'booking'::regclass") == "all of them"  # fmt: skip


@pytest.mark.core
def test_a_rollback_gives_the_texts_back(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    _script(app, SCHEMA)
    before = catalogue(database, ["public"])
    keep(app, live("booking"), "booking")
    rebuild = begin(BOOKING, GUEST)
    rebuild.finish()
    # Rows that nobody touches, that keep their value, that change it, that come new, that go
    app.execute("UPDATE booking SET n = -n WHERE n <= 50")
    app.execute("UPDATE booking SET status = 'IN_PROGRESS' WHERE n BETWEEN 51 AND 100")
    app.execute("INSERT INTO booking (id, status, size, n) SELECT gen_random_uuid(), s, 'large', 1000 + i FROM"
                " unnest(enum_range(NULL::\"Booking Status\")) WITH ORDINALITY AS u (s, i)")  # fmt: skip
    app.execute("DELETE FROM booking WHERE n BETWEEN 101 AND 120")
    go_back(rebuild)
    assert changed(before, catalogue(database, ["public"])) == {}
    app.execute(
        "UPDATE judge.booking SET n = -n WHERE n <= 50; DELETE FROM judge.booking WHERE n BETWEEN 101 AND 120;"
        "UPDATE judge.booking SET status = 'in progress' WHERE n BETWEEN 51 AND 100 AND status <> 'doing'"
    )
    new = app.execute("DELETE FROM booking WHERE n > 1000 RETURNING status, n").fetchall()
    assert sorted(new, key=lambda r: r[1]) == [
        ("open", 1001),
        ("in progress", 1002),
        ("DONE", 1003),
        ("it's odd", 1004),
    ]
    assert unlike(app, live("booking"), "booking", ["t.*"]) == []
    assert everything_left(app) == []


def test_a_value_that_the_past_column_has_no_room_for_stops_the_rollback(app: psycopg.Connection, begin: Begin) -> None:
    _script(app, SCHEMA)
    rebuild = begin(BOOKING, GUEST)
    rebuild.finish()
    app.execute("ALTER TYPE size ADD VALUE 'longer than ten'")
    app.execute("UPDATE guest SET size = 'longer than ten'")
    with pytest.raises(NeedsOperator, match=r"guest: a row.*does not fit.*too long.*size.*longer than ten"):
        go_back(rebuild)


@pytest.mark.core
@pytest.mark.parametrize("policy", ["fail", "null", "quarantine"])
def test_texts_that_are_no_values(app: psycopg.Connection, begin: Begin, policy: str) -> None:
    _script(app, SCHEMA)
    app.execute("UPDATE booking SET code = 'Small' WHERE n = 5; UPDATE booking SET code = '' WHERE n = 6")
    keep(app, live("booking"), "booking")
    rebuild = begin(table("booking", columns=[*UUIDS, STATUS, SIZE, {**CODE, "on_invalid": policy}]), GUEST)
    if policy == "fail":
        assert rebuild.settle().state is RunState.NEEDS_OPERATOR
        assert 'invalid input value for enum public.size: "Small"' in rebuild.why()
        app.execute("UPDATE booking SET code = 'small' WHERE n IN (5, 6)")
        rebuild.retry()
        rebuild.finish()
        assert _unlike(app) == []
        return
    rebuild.until(TableState.READY)
    app.execute("UPDATE booking SET code = 'huge' WHERE n = 7; UPDATE booking SET code = 'large' WHERE n = 6")
    rebuild.finish()
    wanted = app.execute("SELECT n, code::text FROM booking WHERE n IN (5, 6, 7) ORDER BY n").fetchall()
    if policy == "null":
        assert wanted == [(5, None), (6, "large"), (7, None)]
    else:
        assert wanted == [(6, "large")]
        aside = Identifier("replank", rebuild.spec("booking").quarantine_name)
        kept = app.execute(SQL("SELECT value, reason FROM {} ORDER BY value = 'huge'").format(aside))
        assert kept.fetchall() == [
            ("Small", "the text is no value of public.size"), ("huge", "the text is no value of public.size")
        ]  # fmt: skip
    go_back(rebuild)
    app.execute("UPDATE judge.booking SET code = CASE n WHEN 6 THEN 'large' ELSE 'huge' END WHERE n IN (6, 7)")
    assert unlike(app, live("booking"), "booking", ["t.*"]) == []


KEYED = """
CREATE TYPE kind AS ENUM ('A', 'B', 'C');
CREATE TABLE kinds (code text PRIMARY KEY, words text);
CREATE TABLE part (kind text REFERENCES kinds ON UPDATE CASCADE, n int, note text, PRIMARY KEY (kind, n));
INSERT INTO kinds VALUES ('a', 'first'), ('b', 'second'), ('C', 'third');
INSERT INTO part SELECT (ARRAY['a', 'b', 'C'])[1 + g % 3], g, 'old' FROM generate_series(1, 120) AS g
"""
KIND = {"to": "enum", "type": "kind", "map": {"a": "A", "b": "B", "c": "C"}}
PARTS = (table("part", columns=[{"name": "kind", **KIND}]), table("kinds", columns=[{"name": "code", **KIND}]))


def test_a_key_that_becomes_an_enum(app: psycopg.Connection, begin: Begin) -> None:
    _script(app, KEYED)
    rebuild = begin(*PARTS)
    rebuild.until(TableState.READY)
    app.execute("UPDATE kinds SET code = 'c' WHERE code = 'C'")
    app.execute("DELETE FROM part WHERE n % 5 = 0; UPDATE part SET n = n + 1000 WHERE n % 7 = 0")
    app.execute("UPDATE part SET kind = 'a', n = -n WHERE kind = 'b' AND n % 4 = 1")
    rebuild.finish()
    said = SQL("SELECT upper(t.kind::text), t.n, t.note FROM {} AS t ORDER BY 2")
    both = [app.execute(said.format(Identifier(*name("part")))).fetchall() for name in (past, live)]
    assert both[0] == both[1]
    app.execute("DELETE FROM part WHERE kind = 'B' AND n < 50; INSERT INTO part VALUES ('B', 5000, 'new')")
    app.execute("UPDATE kinds SET words = words || '!'; UPDATE part SET note = 'changed' WHERE n % 9 = 1")
    keep(app, live("part"), "part")
    go_back(rebuild)
    assert app.execute("SELECT code, words FROM kinds ORDER BY 1").fetchall() == [
        ("a", "first!"), ("b", "second!"), ("c", "third!")
    ]  # fmt: skip
    app.execute("ALTER TABLE judge.part ALTER kind TYPE text USING lower(kind::text)")
    assert unlike(app, live("part"), "part", ["t.*"]) == []


@pytest.mark.parametrize("state", [TableState.PLANNED, TableState.READY])
def test_two_keys_that_become_one_stop_the_run(app: psycopg.Connection, begin: Begin, state: TableState) -> None:
    """One that is there breaks the index; one that comes in later is not taken for the other."""
    _script(app, KEYED)
    rebuild = begin(*PARTS)
    rebuild.until(state)
    app.execute("INSERT INTO kinds VALUES ('A', 'the same')")
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert ("is duplicated" if state is TableState.PLANNED else "become the same") in rebuild.why()


@pytest.mark.parametrize(
    ("ddl", "planned", "words"),
    [
        ("ALTER TABLE booking ADD CHECK (lower(status) <> 'x')", BOOKING, r"enum_checks_lost .*lower"),
        ("CREATE VIEW v AS SELECT 1 AS n FROM booking WHERE status = 'open'", BOOKING, r"enum_spelling .*names 'open'"),
        ("CREATE INDEX i ON booking (n) WHERE size = 'small' AND n > 0", BOOKING, r"trial_failed .*index i"),
        ("CREATE VIEW v AS SELECT FROM booking WHERE size = 'small'",
         table("booking", columns=[{**SIZE, "map": {"tiny": "small", "small ": "small"}}]), r"^$"),
        ("CREATE INDEX i ON booking (lower(status))", BOOKING, r"trial_failed .*index i"),
        ("SELECT", table("booking", columns=[{**STATUS, "type": "nothing"}]), "enum nothing does not exist"),
        ("SELECT", table("booking", columns=[{**STATUS, "map": {"x": "Y"}}]), "has no value Y"),
        ("SELECT", table("booking", columns=[{**STATUS, "map": {"OPEN": "DONE"}}]), "OPEN is a value of"),
        ("SELECT", table("booking", columns=[{**SIZE, "name": "n"}]), "is integer; only text"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused(
    app: psycopg.Connection, begin: Begin, ddl: str, planned: Table, words: str
) -> None:
    _script(app, SCHEMA)
    app.execute(ddl.encode())
    if words == "^$":
        begin(planned)
        return
    with pytest.raises((NeedsOperator, WrongUse), match=words):
        begin(planned, GUEST)
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0


def test_checks_go_by_consent_and_come_back(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    _script(app, SCHEMA)
    app.execute("ALTER TABLE booking ADD CONSTRAINT low CHECK (lower(status) <> 'x') NOT VALID")
    app.execute("ALTER TABLE booking ADD CONSTRAINT few CHECK (size IN ('small', 'large')) NOT VALID")
    before = catalogue(database, ["public"])
    rebuild = begin(table("booking", columns=[*UUIDS, {**STATUS, "consent": ["enum_checks"]}, SIZE, CODE]), GUEST)
    rebuild.finish()
    assert _unlike(app) == []
    found = app.execute(
        "SELECT conname, convalidated FROM pg_constraint"
        " WHERE conrelid = 'booking'::regclass AND contype = 'c' ORDER BY 1"
    )
    assert found.fetchall() == [("few", False), ("known", True), ("sized", True), ("there", True)]
    assert [c for c in catalogue_changes(rebuild.connection, rebuild.run) if not c.explained] == []
    go_back(rebuild)
    assert changed(before, catalogue(database, ["public"])) == {}
    assert one(app, "SELECT count(*) FROM pg_tables WHERE tablename = 'booking' AND schemaname = %s", past("x")[0]) == 0
