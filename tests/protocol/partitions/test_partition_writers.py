"""A month is attached while statements of that month wait: none is refused, and none misses a row that moves."""

import threading
from dataclasses import dataclass, field

import psycopg
import pytest
from support.oracles.oracle import one
from support.runs.attacks import Attack
from support.runs.harness import Url, eventually

from producer.partitions.upkeep import Kept, keep_partitions
from replank.plan.plan import DatabasePlan, OptionsPlan, Plan
from replank.plan.tables.table_plan import TablePlan
from replank.values.table_spec import Relation
from sql.partitions import partition_upkeep
from sql.session.connection import Connection, connect

pytestmark = pytest.mark.protocol

NEXT_MONTH = "date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month'"
EVENT = """
CREATE TABLE place (id int PRIMARY KEY);
INSERT INTO place SELECT g FROM generate_series(1, 100) AS g;
CREATE TABLE event (id int, at timestamp NOT NULL, n int, place int REFERENCES place, PRIMARY KEY (id, at))
  PARTITION BY RANGE (at);
CREATE TABLE event_default PARTITION OF event DEFAULT
"""
WAITING_FOR_EVENTS = """
SELECT count(DISTINCT pid) FROM pg_locks
 WHERE NOT granted AND pid = ANY (%s) AND relation IN ('event'::regclass, 'event_default'::regclass)
"""


@dataclass(kw_only=True)
class Upkeep:
    """`replank partitions` in a thread of its own, held up where it already has its locks: by `place`."""

    url: Url
    with_checks: bool = False
    kept: Kept | None = None
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._keep)
        self.thread.start()

    def _keep(self) -> None:
        said = {"by": "range", "column": "at", "every": "month", "ahead": 1, "consent": ["uniqueness"]}
        with connect(self.url, name="partitions") as connection:
            plan = Plan(
                database=DatabasePlan(name=connection.info.dbname),
                options=OptionsPlan(lock_timeout_ms=10_000, cutover_hold_budget_ms=60_000),
                tables=(TablePlan.model_validate({"name": "event", "partition": said}),),
            )
            (self.kept,) = keep_partitions(
                connection, plan, dry_run=False, say=lambda _: None, with_checks=self.with_checks
            )

    def ended(self) -> Kept:
        self.thread.join(60)
        assert self.kept is not None
        return self.kept


@dataclass(kw_only=True)
class Client:
    """One statement of the application in a session of its own, and what the server said to it."""

    url: Url
    statement: str
    pid: int = 0
    said: object = None
    thread: threading.Thread = field(init=False)
    known: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self.known.wait(60)

    def _run(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            self.pid = connection.info.backend_pid
            self.known.set()
            try:
                cursor = connection.execute(self.statement.encode())
                self.said = cursor.fetchone() if cursor.description else cursor.rowcount
            except psycopg.Error as error:
                self.said = f"{error.sqlstate} {error}"


STATEMENTS = {
    f"INSERT INTO event SELECT 50, {NEXT_MONTH}, 1, 1": 1,
    "SELECT n FROM event WHERE id = 7": (7,),
    "SELECT n FROM event WHERE id = 7 FOR UPDATE": (7,),
    "UPDATE event SET n = n + 1 WHERE id = 8": 1,
    "DELETE FROM event WHERE id = 9": 1,
    f"INSERT INTO event SELECT 10, {NEXT_MONTH}, 1, 1 ON CONFLICT (id, at) DO UPDATE SET n = 99": 1,
    "UPDATE event SET at = at + interval '1 day' WHERE id = 11": 1,
    f"MERGE INTO event USING (SELECT 12 AS id, {NEXT_MONTH} AS at) AS s ON event.id = s.id AND event.at = s.at"
    " WHEN MATCHED THEN UPDATE SET n = 99": 1,
}


def _present_month(app: psycopg.Connection) -> None:
    """So that one partition is missing: that of the next month."""
    bounds = app.execute(f"SELECT {NEXT_MONTH} - interval '1 month', {NEXT_MONTH}".encode()).fetchone()
    assert bounds is not None
    made = "CREATE TABLE present PARTITION OF event FOR VALUES FROM ({}) TO ({})"
    app.execute(psycopg.sql.SQL(made).format(*map(str, bounds)))


@pytest.mark.attack("D7", "statements of a month wait while its partition is attached")
@pytest.mark.parametrize("rows", [0, 20])
def test_statements_that_wait_are_neither_refused_nor_miss_a_row(
    app: psycopg.Connection, other: psycopg.Connection, database: Url, attack: Attack, rows: int
) -> None:
    """Given rows of the month in DEFAULT or none, when its partition is attached, then each statement does its work."""
    for statement in EVENT.split(";\n"):
        app.execute(statement.encode())
    _present_month(app)
    app.execute(f"INSERT INTO event SELECT g, {NEXT_MONTH}, g, 1 FROM generate_series(1, {rows}) AS g".encode())  # noqa: S608
    asked = STATEMENTS if rows else {s: said for s, said in STATEMENTS.items() if s.startswith("INSERT")}
    # The partition's foreign key is made when all other locks are had already: there it waits for this.
    other.execute("INSERT INTO place VALUES (0)")
    upkeep = Upkeep(url=database)
    eventually(
        lambda: one(app, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'place'::regclass") == 1,
        "the upkeep waits for the foreign key's other table, with its own locks in hand",
    )
    clients = [Client(url=database, statement=statement) for statement in asked]
    pids = [client.pid for client in clients]
    eventually(lambda: one(app, WAITING_FOR_EVENTS, pids) == len(clients), "every statement waits")
    other.commit()
    kept = upkeep.ended()
    for client in clients:
        client.thread.join(60)
    assert kept.problems == []
    assert len(kept.created) == 1
    assert {client.statement: client.said for client in clients} == asked
    assert one(app, "SELECT count(*) FROM event_default") == 0
    assert one(app, "SELECT count(*) FROM event") == (20 - 1 + 1 if rows else 2)
    attack.record("the statements waited for the table itself, then did their work", tried=len(clients), lost=0)


@pytest.mark.attack("D7", "a row of the month comes in after the DEFAULT partition was looked at")
@pytest.mark.parametrize("noticed", [False, True])
def test_rows_that_come_in_after_they_were_counted_move_only_where_that_is_unnoticed(
    app: psycopg.Connection, database: Url, attack: Attack, monkeypatch: pytest.MonkeyPatch, noticed: bool
) -> None:
    """Counted none, then one came: it is asked again whether it may move, and under which lock."""
    for statement in EVENT.split(";\n"):
        app.execute(statement.encode())
    _present_month(app)
    if noticed:
        app.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$")
        app.execute("CREATE TRIGGER gone BEFORE DELETE ON event FOR EACH ROW EXECUTE FUNCTION f()")
    locked: list[bool] = []
    lock_table = partition_upkeep.lock_table

    def late(connection: Connection, table: Relation, *, readers_too: bool) -> None:
        if not locked:
            app.execute(f"INSERT INTO event SELECT 1, {NEXT_MONTH}, 1, 1".encode())
        locked.append(readers_too)
        lock_table(connection, table, readers_too=readers_too)

    monkeypatch.setattr(partition_upkeep, "lock_table", late)
    kept = Upkeep(url=database).ended()
    if noticed:
        assert "would be a DELETE for trigger gone" in kept.problems[0]
        assert one(app, "SELECT count(*) FROM event_default") == 1
    else:
        assert locked == [False, True]
        assert (kept.rows_moved, kept.problems) == (1, [])
    assert one(app, "SELECT count(*) FROM event") == 1
    attack.record("moved under the stronger lock, or left to the operator where a trigger would notice", lost=0)
