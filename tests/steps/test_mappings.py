"""Step 07: other names, and views under the old ones that every client can go on with."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.sql import SQL, Identifier

from producer.scripts.run_script import ScriptRunner
from replank.errors import WrongUse
from sql.scripts.compatibility_views import compatibility_views
from steps.conftest import Compile
from steps.dumps import dump
from steps.old_names import GRANTS, SCHEMA

pytestmark = pytest.mark.catalogue


@pytest.fixture
def old(app: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The application's session, in a database with old names. Roles belong to the whole server, so they go again."""
    app.execute('DROP TABLE "userEvents", membership, account, tenant, role_permission CASCADE')
    app.execute(SCHEMA)
    app.execute("CREATE ROLE reader; CREATE ROLE clerk")
    app.execute(GRANTS)
    yield app
    app.execute("RESET ROLE; DROP OWNED BY reader, clerk CASCADE; DROP ROLE reader, clerk")


def _columns(app: psycopg.Connection, name: str) -> list[str]:
    cursor = app.execute(b"SELECT * FROM " + name.encode() + b" LIMIT 0")
    return [column.name for column in cursor.description or ()]


def test_everything_is_renamed_and_back_is_as_if_nothing_had_been(
    old: psycopg.Connection, compiled: Compile, runner: ScriptRunner, database: str
) -> None:
    before = dump(database)
    step = compiled(7, mappings={})
    runner.run(step.forward)
    after = dump(database)
    runner.run(step.forward)
    assert dump(database) == after
    found = {(view.full_name, view.of_table) for view in compatibility_views(runner.connection)}
    renamed = {("Tenant", "tenant"), ("Booking", "booking"), ("EventLog", "event_log")}
    renamed |= {("BaseItem", "base_item"), ("SpecialItem", "special_item")}
    assert found == {(f"public.{was}", now) for was, now in renamed}
    assert _columns(old, "booking")[1:4] == ["tenant_id", "seat_no", "serial_no"]
    assert _columns(old, '"Booking"')[1:4] == ["tenantId", "seatNo", "serialNo"]
    assert _columns(old, "event_log") == ["id", "happened_at", "booking_id"] == _columns(old, '"EventLog_new"')
    assert _columns(old, '"SpecialItem"') == ["id", "madeAt", "extraNote"]
    # Prisma's own table, and one whose name no view could have, are as they were.
    assert _columns(old, '"_BookingToTenant"') == ["A", "B"]
    assert _columns(old, "plain") == ["id", "stillOld"]

    runner.run(step.back)
    assert dump(database) == before
    assert compatibility_views(runner.connection) == []
    runner.run(step.back)
    runner.run(step.forward)
    assert dump(database) == after


STATEMENTS = (Path(__file__).parent / "old_statements.sql").read_text().partition("\n")[2].strip().split(";\n")


def _outcomes(app: psycopg.Connection) -> dict[tuple[str, str], object]:
    """What every statement gives for every role, in a transaction that is taken back: rows, or the error's class."""
    found: dict[tuple[str, str], object] = {}
    for role in ("postgres", "clerk", "reader"):
        for statement in STATEMENTS:
            app.execute("SELECT setval('\"Booking_seatNo_seq\"', 100), setval('\"Booking_serialNo_seq\"', 100)")
            app.execute("SELECT setval('\"EventLog_id_seq\"', 100)")
            app.execute("BEGIN")
            app.execute("SET LOCAL ROLE " + ("NONE" if role == "postgres" else role))
            try:
                cursor = app.execute(statement.encode())
                rows = sorted(map(repr, cursor.fetchall())) if cursor.description else []
                found[role, statement] = ([c.name for c in cursor.description or ()], rows, cursor.rowcount)
            except psycopg.Error as error:
                found[role, statement] = (error.sqlstate, error.diag.constraint_name)
            app.execute("ROLLBACK")
    return found


def test_old_statements_give_the_same_for_every_role(
    old: psycopg.Connection, compiled: Compile, runner: ScriptRunner
) -> None:
    old.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO reader, clerk; GRANT SELECT ON open_bookings TO reader")
    # What comes from now on is everybody's: the views must not be.
    old.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO reader, PUBLIC")
    before = _outcomes(old)
    assert sum(isinstance(outcome[0], list) for outcome in before.values()) > 50, "most must work"
    runner.run(compiled(7, mappings={}).forward)
    after = _outcomes(old)
    assert {key: (before[key], outcome) for key, outcome in after.items() if outcome != before[key]} == {}


BY_CONSTRAINT = """
INSERT INTO "Booking" (id, "tenantId") VALUES ('b1', 't1') ON CONFLICT ON CONSTRAINT "Booking_pkey" DO NOTHING
"""

CANNOT = {
    'TRUNCATE "Booking"': errors.WrongObjectType,
    "COPY \"Booking\" FROM PROGRAM 'true'": errors.WrongObjectType,
    BY_CONSTRAINT: errors.UndefinedObject,
    'SELECT id, note FROM "Booking" GROUP BY id': errors.GroupingError,
    'SELECT ctid FROM "Booking"': errors.UndefinedColumn,
    'ALTER TABLE "Booking" ADD more int': errors.WrongObjectType,
    'CREATE TABLE child (b text REFERENCES "Booking")': errors.WrongObjectType,
    'UPDATE "Booking" SET "seatNo" = DEFAULT': errors.GeneratedAlways,
}


def test_what_a_view_cannot_do(old: psycopg.Connection, compiled: Compile, runner: ScriptRunner) -> None:
    # What the docs say of it: each of these is an error, and none does something else in silence.
    runner.run(compiled(7, mappings={"tables": ["Booking"]}).forward)
    for statement, error in CANNOT.items():
        with pytest.raises(error):
            old.execute(statement.encode())
    # This one is silent: UPDATE knows defaults of the view itself only, and it has none (INSERT asks the table's).
    old.execute("UPDATE \"Booking\" SET note = DEFAULT WHERE id = 'b1'")
    with pytest.raises(errors.NotNullViolation):
        old.execute('UPDATE "Booking" SET "totalCents" = DEFAULT')
    merge = "MERGE INTO \"Booking\" b USING (VALUES ('b1')) AS v (id) ON b.id = v.id WHEN MATCHED THEN DELETE"
    if old.info.server_version >= 170000:
        old.execute(merge.encode())
    else:
        with pytest.raises(errors.FeatureNotSupported):
            old.execute(merge.encode())


@pytest.mark.usefixtures("old")
def test_sessions_that_remember_go_on(compiled: Compile, runner: ScriptRunner, database: str) -> None:
    # Given a session with prepared statements, compiled functions and foreign keys that were checked before
    with psycopg.connect(database, autocommit=True, prepare_threshold=0) as client:

        def use(number: int) -> list[object]:
            key = f"s{number}"
            client.execute('INSERT INTO "Booking" (id, "tenantId") VALUES (%s, %s)', [key, "t1"])
            client.execute('INSERT INTO "EventLog" ("happenedAt", "bookingId") VALUES (\'2026-02-02\', %s)', [key])
            client.execute('UPDATE "Booking" SET "totalCents" = 10 WHERE id = %s', [key])
            row = client.execute('SELECT * FROM "Booking" WHERE id = %s', [key]).fetchone()
            found = client.execute("SELECT total('t1')").fetchone()
            client.execute("SELECT book(%s, 't2')", [key + "f"])
            client.execute('DELETE FROM "Booking" WHERE id IN (%s, %s)', [key, key + "f"])
            with pytest.raises(errors.ForeignKeyViolation):
                client.execute('INSERT INTO "Booking" (id, "tenantId") VALUES (%s, %s)', [key, "nobody"])
            return [row is not None and len(row), found]

        known = [use(number) for number in range(8)][-1]
        step = compiled(7, mappings={})
        runner.run(step.forward)
        assert [use(number) for number in range(8)] == [known] * 8
        runner.run(step.back)
        assert [use(number) for number in range(8)] == [known] * 8


class Writer(threading.Thread):
    """Writes by old or new names until it is told to stop. Whatever goes wrong is kept."""

    def __init__(self, database: str, number: int, names: dict[str, str]) -> None:
        super().__init__()
        self.url, self.number, self.names = database, number, names
        self.stop = threading.Event()
        self.booked: set[str] = set()
        self.raised: list[str] = []

    def run(self) -> None:
        names = {what: Identifier(name) for what, name in self.names.items()}
        insert = SQL("INSERT INTO {t} (id, {tenant}, note) VALUES (%s, %s, %s)").format(**names)
        change = SQL("UPDATE {t} SET {cents} = {cents} + 1 WHERE id = 'b1'").format(**names)
        with psycopg.connect(self.url) as session:
            while not self.stop.is_set():
                key = f"w{self.number}-{len(self.booked)}"
                try:
                    with session.transaction():
                        session.execute(insert, [key, "t1", key])
                        session.execute(change)
                    self.booked.add(key)
                except psycopg.Error as error:
                    self.raised.append(repr(error))
                    return


OLD = {"t": "Booking", "tenant": "tenantId", "cents": "totalCents"}
NEW = {"t": "booking", "tenant": "tenant_id", "cents": "total_cents"}


def test_nothing_is_lost_while_names_change_under_writers(
    old: psycopg.Connection, compiled: Compile, runner: ScriptRunner, database: str
) -> None:
    step = compiled(7, mappings={})
    writers = [Writer(database, number, OLD) for number in range(2)]
    new: list[Writer] = []
    for writer in writers:
        writer.start()
    try:
        for round_ in range(3):
            _wait_for_more(writers)
            runner.run(step.forward)
            late = Writer(database, 10 + round_, NEW)
            late.start()
            new.append(late)
            _wait_for_more([*writers, late])
            # New clients go before the names do.
            late.stop.set()
            late.join()
            runner.run(step.back)
        _wait_for_more(writers)
    finally:
        for writer in [*writers, *new]:
            writer.stop.set()
            writer.join()
    assert [writer.raised for writer in [*writers, *new]] == [[]] * 5
    booked = set().union(*(writer.booked for writer in [*writers, *new]))
    rows = old.execute("SELECT id, \"totalCents\" FROM \"Booking\" WHERE id LIKE 'w%' OR id = 'b1'").fetchall()
    assert dict(rows) == {**dict.fromkeys(booked, 7), "b1": 7 + len(booked)}
    assert len(booked) > 50


def _wait_for_more(writers: list[Writer], rows: int = 5) -> None:
    """Until each has written some more, or has failed."""
    before = {writer: len(writer.booked) for writer in writers}
    for writer in writers:
        while len(writer.booked) < before[writer] + rows and not writer.raised:
            threading.Event().wait(0.002)


LONG = "Ä" * 29 + "BBÄb"
REFUSED: list[tuple[dict[str, object], str]] = [
    ({"tables": ["nowhere"]}, "table nowhere does not exist"),
    ({"rename": [{"table": "plain", "columns": {"no": "yes"}}]}, "table plain has no column no"),
    (
        {"rename": [{"table": "Booking", "to": "Tenant"}]},
        r"public\.Booking cannot be public\.Tenant: this name is taken",
    ),
    ({"rename": [{"table": "Booking", "to": "mood"}]}, "this name is taken"),
    (
        {"rename": [{"table": "Booking", "to": "x"}, {"table": "Tenant", "to": "x"}]},
        r"Booking and public\.Tenant would both be public\.x",
    ),
    (
        {"rename": [{"table": "Booking", "columns": {"seatNo": "note"}}]},
        "columns note and seatNo of .* would both be note",
    ),
    (
        {"rename": [{"table": "Booking", "columns": {"seatNo": "serialNo"}}]},
        "another column has this name until it is renamed",
    ),
    ({"rename": [{"table": "Booking", "columns": {"seatNo": "xmin"}}]}, "the name of a system column"),
    ({"rename": [{"table": "plain", "columns": {"stillOld": "new"}}]}, "keeps its name, so no view of this name"),
    ({"rename": [{"table": "SpecialItem", "columns": {"madeAt": "made"}}]}, "give them the same new names"),
    (
        {"snake_case": False, "rename": [{"table": "SpecialItem", "columns": {"madeAt": "made"}}]},
        "rename it in the parent table",
    ),
    ({"tables": ["BaseItem"]}, r"public\.SpecialItem inherits madeAt from public\.BaseItem"),
    ({"tables": ["Locked"]}, "row-level security and column privileges"),
    ({"tables": ["Touched"]}, r"trigger function public\.touch of public\.Touched uses touchedAt"),
    ({"tables": [LONG]}, "longer than 63 bytes"),
]


def test_names_that_cannot_be_had_are_refused(old: psycopg.Connection, compiled: Compile) -> None:
    old.execute(
        "CREATE TYPE mood AS ENUM ('a'); CREATE TABLE \"ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄBBÄb\" (id int);"
        'CREATE TABLE "Locked" (id int, "someText" text); ALTER TABLE "Locked" ENABLE ROW LEVEL SECURITY;'
        'GRANT SELECT (id) ON "Locked" TO reader;'
        'CREATE TABLE "Touched" (id int, "touchedAt" date); CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql'
        " AS 'BEGIN NEW.\"touchedAt\" := now(); RETURN NEW; END';"
        'CREATE TRIGGER touch BEFORE UPDATE ON "Touched" FOR EACH ROW EXECUTE FUNCTION touch()'
    )
    told = ""
    for said, words in REFUSED:
        try:
            compiled(7, mappings=said)
        except WrongUse as error:
            told = str(error)
        assert re.search(words, told), (said, told)
    compiled(7, mappings={"tables": ["Touched"], "reviewed": ["touch"]})


PERMISSIONS = """
SELECT "tenantId" AS user_id, id AS tenant_id, to_jsonb(note) AS permissions, to_jsonb(note) AS roles
  FROM public."Booking"
"""


def test_triggers_of_earlier_steps_go_on(
    old: psycopg.Connection, compiled: Compile, runner: ScriptRunner, database: str
) -> None:
    asked = {
        "audit_log": {"tables": ["EventLog", "Booking"]},
        "permission_cache": {
            "query": PERMISSIONS,
            "sources": [{"table": "Booking", "user": "tenantId"}],
        },
        "mappings": {},
    }
    steps = {number: compiled(number, **asked) for number in (3, 4, 7)}
    for number in (3, 4):
        runner.run(steps[number].forward)
    before = dump(database)
    runner.run(steps[7].forward)
    old.execute('UPDATE "EventLog" SET "bookingId" = \'b9\' WHERE "bookingId" = \'b1\'')
    old.execute("UPDATE booking SET tenant_id = 't2' WHERE id = 'b2'")
    logged = old.execute("SELECT row_key, old_row ->> 'booking_id' FROM audit.audit_log WHERE table_name = 'event_log'")
    assert logged.fetchall() == [({"id": 1, "happened_at": "2025-12-21"}, "b1")]
    stale = old.execute("SELECT array_agg(user_id ORDER BY 1) FROM permission.invalidation").fetchone()
    assert stale == (["t1", "t2"],)
    runner.run(steps[7].back)
    old.execute('DELETE FROM "EventLog" WHERE id = 2')
    logged = old.execute("SELECT row_key FROM audit.audit_log WHERE table_name = 'EventLog'")
    assert logged.fetchall() == [({"id": 2, "happenedAt": "2025-12-22"},)]
    old.execute("TRUNCATE audit.audit_log RESTART IDENTITY; TRUNCATE permission.invalidation")
    assert before.count("CREATE TRIGGER") == dump(database).count("CREATE TRIGGER")
