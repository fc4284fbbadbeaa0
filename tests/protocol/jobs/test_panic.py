"""`panic`: long running jobs, a cutover and a script end at once; nobody else's session does; `resume` goes on."""

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from support.oracles.oracle import built, column_type, count, differences, live, on, one, past
from support.runs.harness import Rebuild, eventually, table

from producer.operator.operator import Operator
from producer.operator.panicking import panic
from producer.operator.pausing import resume
from producer.operator.scope import WHOLE_RUN
from replank.values.states import RunState, TableState
from sql.session.connection import connect
from workers.execution.executor import Executor

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]
ANNA = Operator(name="anna", via="command line")
ACTIVE = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'replank w%'"
    " AND state <> 'idle'"
)


@pytest.fixture
def rebuild(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Two tables whose copy takes an hour: each row sleeps."""
    for name in ("a", "b"):
        on(app, name, "CREATE TABLE {t} (id text PRIMARY KEY, n int)")
        on(app, name, "INSERT INTO {t} SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    made = begin(table("a", "id"), table("b", "id"))
    made.until(TableState.COPYING)
    app.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$"
    )
    for name in ("a", "b"):
        on(app, built(name), "CREATE TRIGGER slow BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION slow()")
    return made


class Busy:
    """Workers in threads, each in the middle of a job."""

    def __init__(self, rebuild: Rebuild) -> None:
        self._rebuild = rebuild
        self.ended: list[BaseException | None] = []
        self._threads: list[threading.Thread] = []

    def start(self, worker: Executor, job_id: int) -> None:
        thread = threading.Thread(target=self._work, args=(worker, job_id))
        self._threads.append(thread)
        thread.start()

    def _work(self, worker: Executor, job_id: int) -> None:
        try:
            worker.execute(run_id=self._rebuild.run_id, job_id=job_id)
            self.ended.append(None)
        except psycopg.OperationalError as error:
            self.ended.append(error)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def busy(rebuild: Rebuild) -> Iterator[Busy]:
    made = Busy(rebuild)
    yield made
    made.join()


def test_long_jobs_end_within_a_second_and_cost_nothing(
    app: psycopg.Connection, other: psycopg.Connection, database: str, rebuild: Rebuild, busy: Busy
) -> None:
    # Given two workers in the middle of jobs of an hour, and the application's own session with such a name
    for number, job_id in enumerate(rebuild.jobs("copy")):
        busy.start(rebuild.new_worker(f"worker {number}"), job_id)
    eventually(lambda: one(app, ACTIVE) == 2, "both to work")
    others = [psycopg.connect(database, application_name=name) for name in ("app", "replankish step")]
    for connection in others:
        connection.execute("SELECT 1")

    # When
    began = time.monotonic()
    with connect(database, name="panic") as operator:
        said = panic(operator, rebuild.run, by=ANNA, reason="disk on fire")
    seconds = time.monotonic() - began

    # Then nothing of the run is active, and it was quick
    assert one(app, ACTIVE) == 0
    assert seconds < 5
    print(f"panic: {seconds:.3f} s")
    assert "2 jobs were stopped and wait again" in said
    assert "`replank resume` continues" in said
    # And the jobs wait as if they had never begun: nothing is half done
    found = app.execute("SELECT state, attempt - forgiven, worker IS NULL FROM replank.job").fetchall()
    assert {(state, counted) for state, counted, _ in found} == {("waiting", 0)}
    assert (count(app, built("a")), count(app, built("b"))) == (0, 0)
    assert app.execute(
        "SELECT DISTINCT outcome, counts, message FROM replank.job_attempt WHERE error_class = 'stopped'"
    ).fetchall() == [("stopped", False, "stopped by the panic of anna; its transaction was rolled back")]
    # And nobody else's session was touched
    for connection in [*others, other]:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.close()
    # And it says who and why, and nothing begins
    assert one(app, "SELECT actor || ': ' || message FROM replank.event WHERE kind = 'panic'")
    assert rebuild.run.paused
    for job_id in rebuild.jobs("copy"):
        assert str(rebuild.execute(job_id)) == "nothing"

    # When it is resumed, it goes on to a good end
    app.execute("DROP FUNCTION slow() CASCADE")
    resume(rebuild.connection, rebuild.run, WHOLE_RUN, by=ANNA)
    rebuild.finish()
    assert differences(app, past("a"), live("a"), {"id"}) == []


def test_a_cutover_under_way_is_taken_back(app: psycopg.Connection, begin: Begin, database: str) -> None:
    """Its transaction holds locks on live tables: they are free within a second."""
    # Given a cutover that waits inside its transaction
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    rebuild = begin(table("t", "id"), cutover_hold_budget_ms=60_000)
    rebuild.ready()
    app.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$"
    )
    app.execute(
        "CREATE TRIGGER slow BEFORE UPDATE OF swapped_at ON replank.conversion_set FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    swap = threading.Thread(target=lambda: _swallow(rebuild.try_to_swap))
    swap.start()
    held = "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND mode = 'AccessExclusiveLock'"
    eventually(lambda: one(app, held) == 1, "the cutover's lock")
    # When
    with connect(database, name="panic") as operator:
        began = time.monotonic()
        panic(operator, rebuild.run_as(operator), by=ANNA)
        print(f"panic in a cutover: {time.monotonic() - began:.3f} s")
    swap.join(20)
    # Then the live table is the old one, and free
    app.execute("SET lock_timeout = '2s'")
    app.execute("UPDATE t SET n = 0 WHERE n = 1")
    assert column_type(app, live("t"), "id") == "text"
    # And resumed, it swaps
    app.execute("DROP FUNCTION slow() CASCADE")
    rebuild.restart_coordinator()
    resume(rebuild.connection, rebuild.run, WHOLE_RUN, by=ANNA)
    rebuild.pass_time()
    rebuild.finish()
    assert rebuild.run.state is RunState.DONE
    assert differences(app, past("t"), live("t"), {"id"}) == []


def _swallow(swap: Callable[[], object]) -> None:
    """The coordinator's session may be cancelled or ended: both are fine."""
    try:
        swap()
    except (psycopg.Error, AssertionError):
        return
