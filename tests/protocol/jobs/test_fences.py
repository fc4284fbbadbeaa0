"""Fences: whoever no longer holds the lease changes nothing, whatever it still believes."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from support.oracles.oracle import built, count, differences, live, one, past
from support.runs.harness import Rebuild, table

from protocol.jobs.mortal import MortalConnection, mortal_worker
from replank.errors import LeaseLost
from replank.values.states import JobState, TableState
from sql.ledger.jobs import claims, job_queue
from sql.ledger.jobs.claims import Job
from sql.ledger.tables import tables
from sql.session.connection import Connection
from workers.execution.executor import Executor
from workers.execution.outcome import Outcome
from workers.kinds.table_jobs import Done, Limits, perform

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

LIMITS = Limits(statement_timeout_ms=60_000, lock_timeout_ms=5_000, index_memory_mb=16)


@pytest.fixture
def rebuild(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Table t (id, n) with 300 rows, not captured yet."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 300) AS g")
    return begin(table("t", "id"))


def _claim(rebuild: Rebuild, worker: Executor, job_id: int) -> Job:
    """The first half of an execution: the lease is committed, the work not begun."""
    job = claims.claim(worker.connection, run_id=rebuild.run_id, job_id=job_id, worker=worker.worker, lease_s=60)
    assert job is not None
    return job


def _perform(rebuild: Rebuild, connection: Connection, job: Job) -> Done:
    """The second half."""
    return perform(connection, job, tables.read_table(connection, rebuild.run_id, job.table_no), LIMITS)


def _expire(rebuild: Rebuild, job: Job) -> None:
    """The worker has been silent for longer than its lease: the sweeper takes the job back."""
    rebuild.connection.execute(
        "UPDATE replank.job SET lease_until = clock_timestamp() - interval '1 s' WHERE job_id = %s", [job.job_id]
    )
    assert [orphan.job_id for orphan in job_queue.take_back_orphans(rebuild.connection, rebuild.run_id)] == [job.job_id]


def _contents(app: psycopg.Connection) -> list[Any]:
    """Next's rows with their places: a row that is written again has another."""
    return app.execute("SELECT ctid::text, xmin::text, t FROM replank_next.t AS t ORDER BY 1").fetchall()


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (TableState.COPYING, "copy"),
        (TableState.FIRST_DRAIN, "drain"),
        (TableState.INDEXING, "index"),
        (TableState.VERIFYING, "verify"),
        (TableState.VERIFYING, "vacuum"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_an_attempt_that_was_taken_over_changes_nothing(
    app: psycopg.Connection, rebuild: Rebuild, state: TableState, kind: str, finished: bool
) -> None:
    """Given a worker that fell silent, and another that has (or has not yet) done the job in its place.
    When the first goes on, then it finds its lease lost and nothing has changed."""
    rebuild.until(state)
    app.execute("UPDATE t SET n = -n WHERE n <= 20")
    (job_id, *_) = rebuild.jobs(kind)
    silent, quick = rebuild.new_worker("silent"), rebuild.new_worker("quick")
    job = _claim(rebuild, silent, job_id)
    _expire(rebuild, job)
    later = _claim(rebuild, quick, job_id)
    if finished:
        _perform(rebuild, quick.connection, later)
    before, waiting = _contents(app), rebuild.log_length("t")
    with pytest.raises(LeaseLost):
        _perform(rebuild, silent.connection, job)
    assert _contents(app) == before
    assert rebuild.log_length("t") == waiting
    expected = JobState.DONE if finished else JobState.LEASED
    assert one(app, "SELECT state FROM replank.job WHERE job_id = %s", job_id) == expected
    assert one(app, "SELECT attempt FROM replank.job WHERE job_id = %s", job_id) == 2
    if not finished:
        _perform(rebuild, quick.connection, later)
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_a_second_and_a_late_delivery_change_nothing(app: psycopg.Connection, rebuild: Rebuild) -> None:
    rebuild.until(TableState.COPYING)
    (job_id,) = rebuild.jobs("copy")
    first, second = rebuild.new_worker("first"), rebuild.new_worker("second")
    _claim(rebuild, first, job_id)
    assert rebuild.execute(job_id, second) is Outcome.NOTHING
    assert count(app, built("t")) == 0
    rebuild.connection.execute("UPDATE replank.job SET lease_until = clock_timestamp() - interval '1 s'")
    job_queue.take_back_orphans(rebuild.connection, rebuild.run_id)
    assert rebuild.execute(job_id, second) is Outcome.DONE
    assert rebuild.execute(job_id, first) is Outcome.NOTHING
    assert rebuild.execute(job_id, second) is Outcome.NOTHING
    assert count(app, built("t")) == 300
    rebuild.finish()
    assert rebuild.execute(job_id, second) is Outcome.NOTHING
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_a_job_whose_transaction_is_open_is_not_taken_back(app: psycopg.Connection, rebuild: Rebuild) -> None:
    """However late it is: its backend works, and its row is locked."""
    rebuild.until(TableState.COPYING)
    (job_id,) = rebuild.jobs("copy")
    slow = rebuild.new_worker("slow")
    job = _claim(rebuild, slow, job_id)
    rebuild.connection.execute("UPDATE replank.job SET lease_until = clock_timestamp() - interval '1 s'")
    with slow.connection.transaction():
        assert claims.holds_lease(slow.connection, job, {})
        assert job_queue.take_back_orphans(rebuild.connection, rebuild.run_id) == []
    assert len(job_queue.take_back_orphans(rebuild.connection, rebuild.run_id)) == 1
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


@pytest.fixture
def mortal(rebuild: Rebuild) -> Iterator[Callable[[int], Executor]]:
    """Workers that die before their n-th statement."""
    made: list[Executor] = []

    def make(statements: int) -> Executor:
        made.append(mortal_worker(rebuild.settings, statements))
        return made[-1]

    yield make
    for worker in made:
        worker.connection.close()


@pytest.mark.parametrize(
    "state", [TableState.COPYING, TableState.FIRST_DRAIN, TableState.INDEXING, TableState.REPAIRING]
)
def test_a_worker_may_die_between_any_two_statements(
    app: psycopg.Connection, rebuild: Rebuild, mortal: Callable[[int], Executor], state: TableState
) -> None:
    """The job is taken back and done once, however far it had come."""
    if state is TableState.REPAIRING:
        rebuild.until(TableState.CATCHING_UP)
        rebuild.work("drain")
        app.execute("DELETE FROM replank_next.t WHERE n = 7")
    rebuild.until(state)
    app.execute("UPDATE t SET n = -n WHERE n <= 20")
    (job_id,) = rebuild.jobs()
    deaths = 0
    for statements in range(1, 40):
        worker = mortal(statements)
        try:
            assert rebuild.execute(job_id, worker) is Outcome.DONE
            break
        except psycopg.OperationalError:
            deaths += 1
        assert isinstance(worker.connection, MortalConnection)
        rebuild.wait_for_end_of("replank mortal")
        job_queue.take_back_orphans(rebuild.connection, rebuild.run_id)
        # As an operator's retry does it: otherwise its halves would go on after the second one.
        app.execute("UPDATE replank.job SET forgiven = attempt WHERE job_id = %s", [job_id])
    assert deaths >= 5
    assert one(app, "SELECT state FROM replank.job WHERE job_id = %s", job_id) == "done"
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
