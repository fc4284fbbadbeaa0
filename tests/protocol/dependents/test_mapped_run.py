"""A whole run: new names, uuids and partitions for one table, under clients that use its old and its new names."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.oracles.oracle import column_type, live, one
from support.runs.harness import MOST_TURNS, Rebuild, Url, eventually

from producer.planning.resolution import PlanFile
from producer.rollback.finish import Finishing
from producer.rollback.rollback import roll_back
from producer.starting.begin import begin_or_resume
from replank.plan.plan import Plan
from replank.values.states import RunState
from replank.values.steps import STEPS
from sql.scripts.compatibility_views import compatibility_views
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

SCHEMA = """
CREATE TABLE "User" (id text PRIMARY KEY, "fullName" text);
CREATE TABLE "Booking" (
  id text PRIMARY KEY, "userId" text REFERENCES "User", "seatNo" int NOT NULL DEFAULT 3, "createdAt" timestamptz);
CREATE TABLE "UserSeats" ("userId" text PRIMARY KEY, seats bigint);
CREATE INDEX "Booking_userId_idx" ON "Booking" ("userId");
CREATE VIEW busy AS SELECT u."fullName", b."seatNo" FROM "User" u JOIN "Booking" b ON b."userId" = u.id;
INSERT INTO "User" SELECT gen_random_uuid(), 'name ' || g FROM generate_series(1, 5) AS g;
INSERT INTO "Booking"
  SELECT gen_random_uuid(), (SELECT id FROM "User" LIMIT 1), g, now() FROM generate_series(1, 800) AS g;
"""

TABLES: list[dict[str, Any]] = [
    {"name": "user", "columns": [{"name": "id", "to": "uuid"}]},
    {
        "name": "booking",
        "columns": [{"name": "id", "to": "uuid"}, {"name": "user_id", "to": "uuid"}],
        "fill": [{"name": "created_at", "value": "coalesce(live.created_at, now())", "stable": False}],
        "add": [{"name": "seat_text", "type": "text", "value": "live.seat_no::text"}],
        "partition": {"by": "hash", "column": "id", "count": 3},
    },
]
CACHE = {
    "kind": "table",
    "name": "user_seats",
    "query": "SELECT user_id::text, count(*) AS seats FROM public.booking WHERE user_id IS NOT NULL GROUP BY user_id",
}
OLD = {"t": "Booking", "user": "userId", "seat": "seatNo", "users": "User"}
NEW = {"t": "booking", "user": "user_id", "seat": "seat_no", "users": "user"}


class Client(threading.Thread):
    """Inserts, changes, deletes and reads back its own rows by one set of names, with untyped parameters."""

    def __init__(self, url: Url, number: int, names: dict[str, str]) -> None:
        super().__init__()
        self.url, self.game = url, random.Random(number)
        self.names = {what: Identifier(name) for what, name in names.items()}
        self.ending = threading.Event()
        self.rows: dict[str, int] = {}
        self.writes = 0
        self.raised: list[str] = []

    def run(self) -> None:
        # Not prepared: a prepared statement has taken a text for an id, and stays with it.
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as session:
            # At a pace that the drains of a busy machine can follow.
            while not self.ending.wait(0.01) and not self.raised:
                try:
                    self._write(session)
                    self.writes += 1
                except (psycopg.Error, AssertionError) as error:
                    self.raised.append(repr(error))

    def _write(self, session: psycopg.Connection) -> None:
        key = str(uuid.UUID(int=self.game.getrandbits(128), version=4))
        seat = self.game.randrange(1_000)
        insert = "INSERT INTO {t} (id, {user}, {seat}) VALUES (%s, (SELECT id FROM {users} LIMIT 1), %s)"
        self._say(session, insert, key, seat)
        self.rows[key] = seat
        other = self.game.choice(list(self.rows))
        match self.game.randrange(4):
            case 0:
                self._say(session, "DELETE FROM {t} WHERE id = %s", other)
                del self.rows[other]
            case 1:
                self._say(session, "UPDATE {t} SET {seat} = {seat} + 1 WHERE id = %s", other)
                self.rows[other] += 1
            case 2:
                insert = "INSERT INTO {t} (id, {seat}) VALUES (%s, 1)"
                self._say(session, insert + " ON CONFLICT (id) DO UPDATE SET {seat} = excluded.{seat}", other)
                self.rows[other] = 1
            case _:
                found = self._say(session, "SELECT {seat} FROM {t} WHERE id = %s", other).fetchone()
                assert found == (self.rows[other],), "its own row is not as it wrote it"

    def _say(self, session: psycopg.Connection, statement: str, *values: object) -> psycopg.Cursor[Any]:
        return session.execute(SQL(statement).format(**self.names), values)

    def more(self, writes: int = 15) -> None:
        """Wait until it has written some more."""
        until = self.writes + writes
        eventually(lambda: bool(self.raised) or self.writes >= until, "more writes")

    def end(self) -> None:
        self.ending.set()
        self.join()


@pytest.fixture
def client(database: Url) -> Iterator[Callable[[dict[str, str]], Client]]:
    """Starts clients, and ends them."""
    begun: list[Client] = []

    def start(names: dict[str, str]) -> Client:
        begun.append(Client(database, len(begun), names))
        begun[-1].start()
        begun[-1].more()
        return begun[-1]

    yield start
    for each in begun:
        each.end()


def _plan(app: psycopg.Connection) -> PlanFile:
    steps = {"mappings": {}}
    said = {"database": {"name": app.info.dbname}, "tables": TABLES, "caches": [CACHE], "steps": steps}
    return PlanFile(plan=Plan.model_validate(said), source="plan.toml", text="")


def _begin(url: Url, file: PlanFile) -> Rebuild:
    with connect(url, name="coordinator") as connection:
        begin_or_resume(connection, file, hold_cutover=False)
    return Rebuild.attach(url)


def _drive(rebuild: Rebuild) -> None:
    """Scripts, tables, cutover: to a good end."""
    for _ in range(MOST_TURNS):
        run = rebuild.run
        if run.state is not RunState.RUNNING:
            break
        if not rebuild.take_script() and not rebuild.turn():
            rebuild.pass_time()
            rebuild.work()
    assert rebuild.run.state is RunState.DONE, rebuild.why()


def _go_back(rebuild: Rebuild, step: int) -> None:
    roll_back(rebuild.connection, say=lambda _: None, sleep=lambda _: None, to=STEPS[step - 1])


def test_renamed_converted_and_partitioned_under_old_and_new_clients(
    app: psycopg.Connection, database: Url, client: Callable[[dict[str, str]], Client]
) -> None:
    app.execute(SCHEMA)
    old = client(OLD)
    rebuild = _begin(database, _plan(app))
    try:
        # Forward: the scripts first; then new clients join, and the tables are rebuilt under both.
        assert rebuild.take_script()
        new = client(NEW)
        _drive(rebuild)
        for each in (old, new):
            each.more()
        assert [column_type(app, live(name), "id") for name in ("booking", "Booking", "User")] == ["uuid"] * 3
        assert one(app, "SELECT relkind FROM pg_class WHERE oid = 'booking'::regclass") == "p"
        views = {view.name: view.of_table for view in compatibility_views(rebuild.connection)}
        assert views == {"Booking": "booking", "User": "user", "UserSeats": "user_seats"}
        options = app.execute("SELECT relname, reloptions FROM pg_class WHERE relname = ANY (%s)", [list(views)])
        assert dict(options.fetchall()) == {name: ["security_invoker=true"] for name in views}
        assert one(app, 'SELECT sum(seats) FROM "UserSeats"') == one(app, "SELECT sum(seats) FROM user_seats")
        assert one(app, "SELECT count(*) FROM busy")
        _judge(app, [old, new])
        # Back to the names alone, then to the old names: without new clients, of course.
        _go_back(rebuild, 7)
        for each in (old, new):
            each.more()
        assert [column_type(app, live(name), "id") for name in ("booking", "Booking", "User")] == ["text"] * 3
        new.end()
        _go_back(rebuild, 5)
        old.more()
        assert one(app, "SELECT relkind FROM pg_class WHERE oid = '\"Booking\"'::regclass") == "r"
        _judge(app, [old, new])
        # And forward again, by the same plan. The past of a cache stays after a rollback, and has to be put away.
        app.execute("DROP TABLE replank_past.user_seats CASCADE")
        _drive(rebuild)
        old.more()
        old.end()
        assert [old.raised, new.raised] == [[], []]
        _judge(app, [old, new])
        past = app.execute("SELECT id::uuid FROM replank_past.booking").fetchall()
        told = "SELECT count(*) FROM booking WHERE seat_text = seat_no::text AND id = ANY (%s)"
        assert one(app, told, [key for (key,) in past]) > 700  # type: ignore[operator]
        # `finish` drops what was put aside, and the views under old names with it.
        assert len(compatibility_views(rebuild.connection)) == 3
        finishing = Finishing(
            connection=rebuild.connection, say=lambda _: None, sleep=time.sleep, random_source=random.Random(1)
        )
        finishing.finish(finishing.run_to_finish())
        assert compatibility_views(rebuild.connection) == []
        assert one(app, """SELECT to_regclass('"Booking"') IS NULL AND to_regclass('booking') IS NOT NULL""")
    finally:
        rebuild.close()


def _judge(app: psycopg.Connection, clients: list[Client]) -> None:
    """In the end every row of every client is as its client wrote it, and no row that it deleted is there."""
    for each in clients:
        each.more() if not each.ending.is_set() and not each.raised else None
    assert [each.raised for each in clients] == [[] for _ in clients]
    if all(each.ending.is_set() for each in clients):
        rows = {key: seat for each in clients for key, seat in each.rows.items()}
        found = app.execute("SELECT id::text, seat_no FROM booking").fetchall()
        assert {key: value for key, value in found if key in rows} == rows
        assert len(found) == 800 + len(rows)
