"""The hold budget bounds the hold: of all statements together, in every swap, and where this process stands still."""

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.oracles.oracle import column_type, live, one
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Table, Url, table

from producer.check.check import examine
from producer.planning.prepared_run import prepare_run
from producer.planning.resolution import PlanFile
from producer.rollback.rollback import roll_back
from protocol.caches.cached_shop import CACHE, present, until
from protocol.caches.cached_shop import Begin as BeginCached
from replank.errors import NeedsOperator, TryAgain
from replank.plan.plan import DatabasePlan, OptionsPlan, Plan
from replank.values.table_spec import TableSpec
from sql.ledger.tables import conversion_sets
from sql.session.connection import connect
from sql.swap.autovacuum import autovacuum_settings
from sql.swap.cutover import cut_over
from sql.swap.lock_moment import Traffic
from sql.swap.swap_under_lock import CutoverLimits

pytestmark = [pytest.mark.protocol, pytest.mark.core, pytest.mark.usefixtures("event_triggers_fire")]

Begin = Callable[..., Rebuild]

TABLES = 10
EACH_S = 0.06

SLOW = """
CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE each record; BEGIN
  FOR each IN SELECT schema_name AS schema FROM pg_event_trigger_ddl_commands() LOOP
    IF each.schema LIKE current_setting('test.schemas', true) THEN PERFORM pg_sleep({each_s}); END IF;
  END LOOP; END $$
"""


def _create(app: psycopg.Connection) -> list[Table]:
    app.execute("CREATE TABLE t0 (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t0 VALUES (gen_random_uuid()::text, 1)")
    for n in range(1, TABLES):
        app.execute(f"CREATE TABLE t{n} (id int PRIMARY KEY, up text REFERENCES t0)".encode())
    return [table("t0", "id"), *(table(f"t{n}", "up") for n in range(1, TABLES))]


@pytest.fixture
def slow(app: psycopg.Connection) -> Iterator[Callable[[str], None]]:
    """Lets every statement take long that changes an object of a schema like this."""
    app.execute(SLOW.format(each_s=EACH_S).encode())

    def begin(schemas: str) -> None:
        app.execute(f"ALTER DATABASE {app.info.dbname} SET test.schemas = '{schemas}'".encode())
        app.execute("CREATE EVENT TRIGGER slow ON ddl_command_end EXECUTE FUNCTION slow()")

    yield begin
    app.execute("DROP EVENT TRIGGER IF EXISTS slow")


class Asker:
    """Reads one table without a rest, and remembers its longest wait in seconds."""

    def __init__(self, url: Url, name: str) -> None:
        self.longest_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=[url, name])

    def __enter__(self) -> "Asker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self, url: Url, name: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            asked = SQL("SELECT count(*) FROM {}").format(Identifier(name))
            while not self._stop.is_set():
                began = time.monotonic()
                connection.execute(asked)
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                self._stop.wait(0.002)


def _restart(rebuild: Rebuild) -> None:
    """Its sessions know the database's settings of when they began."""
    rebuild.restart_coordinator()


@pytest.mark.attack("C9", "a slow event trigger under the lock")
def test_a_swap_that_would_hold_its_locks_too_long_asks_for_none(
    app: psycopg.Connection, begin: Begin, slow: Callable[[str], None], database: Url, attack: Attack
) -> None:
    rebuild = begin(*_create(app), cutover_hold_budget_ms=500)
    rebuild.ready()
    slow("replank_next%")
    _restart(rebuild)
    with Asker(database, "t0") as asker:
        assert rebuild.try_to_swap() is False
    (waiting,) = rebuild.sets
    assert "no lock was requested" in waiting.problem
    assert "cutover_hold_budget_ms is 500" in waiting.problem
    assert asker.longest_s < TABLES * EACH_S
    app.execute("DROP EVENT TRIGGER slow")
    rebuild.finish()
    attack.record("no lock was asked for; the option is named")


def test_check_says_that_the_locks_would_be_held_too_long(
    app: psycopg.Connection, slow: Callable[[str], None], database: Url
) -> None:
    plan = Plan(
        database=DatabasePlan(name=app.info.dbname),
        options=OptionsPlan(cutover_hold_budget_ms=500),
        tables=tuple(one.planned for one in _create(app)),
    )
    file = PlanFile(plan=plan, source="plan.toml", text="")

    def codes() -> list[str]:
        with connect(database, name="check") as connection:
            return [f.code for f in examine(connection, prepare_run(connection, file)).findings]

    assert "hold_too_long" not in codes()
    slow("replank_next%")
    assert "hold_too_long" in codes()


@pytest.mark.attack("C9", "an event trigger that is slow for the swap's statements alone")
def test_the_budget_is_for_all_statements_together(
    app: psycopg.Connection, begin: Begin, slow: Callable[[str], None], database: Url, attack: Attack
) -> None:
    rebuild = begin(*_create(app), cutover_hold_budget_ms=200)
    rebuild.ready()
    slow("replank_past%")
    _restart(rebuild)
    with Asker(database, "t0") as asker:
        assert rebuild.try_to_swap() is False
    (waiting,) = rebuild.sets
    assert "the work under the lock took too long" in waiting.problem
    assert "cutover_hold_budget_ms is 200" in waiting.problem
    assert asker.longest_s < TABLES * EACH_S
    assert (waiting.longest_wait_ms or 0) >= 200
    assert column_type(app, live("t0"), "id") == "text"
    app.execute("DROP EVENT TRIGGER slow")
    rebuild.finish()
    attack.record("rolled back at the budget")


@pytest.mark.attack("C9", "the same in the swap of a rollback")
def test_the_way_back_has_the_same_budget(
    app: psycopg.Connection, begin: Begin, slow: Callable[[str], None], database: Url, attack: Attack
) -> None:
    rebuild = begin(*_create(app), cutover_hold_budget_ms=200, cutover_attempts=2)
    rebuild.finish()
    slow("replank_rolled_back%")
    _restart(rebuild)
    with Asker(database, "t0") as asker, pytest.raises(NeedsOperator, match="cutover_hold_budget_ms is 200"):
        roll_back(rebuild.connection, say=lambda _: None, sleep=lambda _: None)
    assert asker.longest_s < TABLES * EACH_S
    assert column_type(app, live("t0"), "id") == "uuid"
    app.execute("DROP EVENT TRIGGER slow")
    roll_back(rebuild.connection, say=lambda _: None, sleep=lambda _: None)
    assert column_type(app, live("t0"), "id") == "text"
    attack.record("rolled back at the budget")


def test_a_caches_swap_has_the_same_budget(
    shop: psycopg.Connection, start: BeginCached, slow: Callable[[str], None]
) -> None:
    rebuild = start(CACHE)
    until(rebuild, "ready")
    rebuild.connection.execute(
        "UPDATE replank.run SET plan = jsonb_set(plan, '{options, cutover_hold_budget_ms}', '50')"
    )
    slow("replank_past%")
    _restart(rebuild)
    for _ in range(20):
        if present(rebuild).problem:
            break
        rebuild.pass_time()
        rebuild.turn()
        rebuild.work()
    assert present(rebuild).state == "ready"
    assert "cutover_hold_budget_ms is 50" in present(rebuild).problem
    shop.execute("DROP EVENT TRIGGER slow")
    until(rebuild, "done")


@pytest.mark.attack("C9", "the coordinator stands still while it holds the locks")
def test_locks_are_let_go_where_this_process_stands_still(
    app: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    """SIGSTOP, a swapping machine: the server waits no longer than the budget for the next statement."""
    rebuild = begin(*_create(app))
    rebuild.ready()
    (one_set,) = rebuild.sets
    specs: list[TableSpec] = [each.spec for each in rebuild.tables]
    before = autovacuum_settings(rebuild.connection, specs)
    conversion_sets.set_autovacuum_before(rebuild.connection, one_set, before)
    limits = CutoverLimits(lock_timeout_ms=200, wait_ms=2_000, hold_budget_ms=300, max_log_rows=100)
    let_go = threading.Event()

    def stand_still(_: int) -> None:
        app.execute("SELECT count(*) FROM t0")
        let_go.set()

    with pytest.raises(TryAgain):
        cut_over(
            rebuild.connection,
            specs,
            one_set.foreign_keys,
            limits,
            autovacuum_before=before,
            still_proved=lambda: None,
            write_ledger=stand_still,
            traffic=Traffic(),
        )
    assert let_go.is_set()
    assert one(app, "SELECT count(*) FROM t0") == 1
    assert column_type(app, live("t0"), "id") == "text"
    _restart(rebuild)
    rebuild.finish()
    attack.record("the server ended the session, and nothing had changed")
