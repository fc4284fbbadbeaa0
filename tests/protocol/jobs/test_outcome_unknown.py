"""A worker that loses its session asks the ledger what became of its job, before anything is done again."""

import random
from collections.abc import Callable, Iterator

import psycopg
import pytest
from support.oracles.oracle import built, count, differences, live, one, past
from support.runs.harness import Rebuild, table

from protocol.jobs.swallowing import Swallowing, swallowing
from replank.values.states import TableState
from sql.session.connection import connect
from workers.execution.executor import Executor
from workers.execution.outcome import Outcome

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]


@pytest.fixture
def rebuild(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Table t with 300 rows, its copy job waiting."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 300) AS g")
    made = begin(table("t", "id"))
    made.until(TableState.COPYING)
    return made


@pytest.fixture
def way(database: str) -> Iterator[Swallowing]:
    with swallowing(database) as made:
        yield made


def _worker(rebuild: Rebuild, url: str) -> Executor:
    connection = connect(url, name="worker w")
    rebuild.opened.append(connection)
    return Executor(connection=connection, worker="w", settings=rebuild.settings, random_source=random.Random(1))


def _job(app: psycopg.Connection, job_id: int) -> tuple[object, ...]:
    found = app.execute("SELECT state, attempt, attempt - forgiven FROM replank.job WHERE job_id = %s", [job_id])
    return found.fetchone() or ()


def test_a_commit_whose_answer_was_lost_is_neither_done_twice_nor_a_failure(
    app: psycopg.Connection, rebuild: Rebuild, way: Swallowing
) -> None:
    # Given a worker whose job's COMMIT comes through, and whose answer does not
    (job_id,) = rebuild.jobs("copy")
    worker = _worker(rebuild, way.url)
    way.arm()
    with pytest.raises(psycopg.OperationalError) as lost:
        rebuild.execute(job_id, worker)
    assert way.swallowed.wait(10)
    assert _job(app, job_id) == ("done", 1, 1)

    # When it asks the ledger in a new session
    again = _worker(rebuild, way.url)
    assert again.resolve_outcome(job_id, lost.value) is Outcome.DONE

    # Then nothing is done again, and no failure is counted
    assert rebuild.execute(job_id, again) is Outcome.NOTHING
    assert _job(app, job_id) == ("done", 1, 1)
    assert count(app, built("t")) == 300
    assert one(app, "SELECT count(*) FROM replank.job_attempt") == 0
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


@pytest.mark.parametrize("by_operator", [True, False])
def test_a_session_that_was_ended_waits_again_at_once(
    app: psycopg.Connection, rebuild: Rebuild, by_operator: bool
) -> None:
    """Ended by pg_terminate_backend it costs no attempt; lost without a word it does: it may have been the job."""
    (job_id,) = rebuild.jobs("copy")
    worker = _worker(rebuild, rebuild.settings.database())
    pid = worker.connection.info.backend_pid
    app.execute(
        "CREATE FUNCTION ends() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
    )
    app.execute("CREATE TRIGGER ends BEFORE INSERT ON replank_next.t FOR EACH ROW EXECUTE FUNCTION ends()")
    with pytest.raises(psycopg.OperationalError) as lost:
        rebuild.execute(job_id, worker)
    app.execute("DROP FUNCTION ends() CASCADE")
    error = lost.value if by_operator else psycopg.OperationalError("the connection is lost")
    again = _worker(rebuild, rebuild.settings.database())
    assert again.resolve_outcome(job_id, error) is Outcome.AGAIN
    assert one(app, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) == 0
    assert _job(app, job_id) == ("waiting", 1, 0 if by_operator else 1)
    history = app.execute("SELECT outcome, counts, sqlstate FROM replank.job_attempt").fetchall()
    assert history == ([("stopped", False, "57P01")] if by_operator else [("again", True, "")])
    assert count(app, built("t")) == 0
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_while_the_old_session_lives_nothing_is_given_back(app: psycopg.Connection, rebuild: Rebuild) -> None:
    """It may still commit: then a second attempt would copy the rows twice."""
    (job_id,) = rebuild.jobs("copy")
    old, new = _worker(rebuild, rebuild.settings.database()), _worker(rebuild, rebuild.settings.database())
    assert old.connection.execute("SELECT 1").fetchone()
    from sql.ledger.jobs import claims

    assert claims.claim(old.connection, run_id=rebuild.run_id, job_id=job_id, worker="w", lease_s=60) is not None
    assert new.resolve_outcome(job_id, psycopg.OperationalError("lost"), sleep=lambda _: None) is None
    assert _job(app, job_id) == ("leased", 1, 1)
    # And of another worker's job it knows nothing
    other = Executor(
        connection=new.connection, worker="other", settings=rebuild.settings, random_source=random.Random(1)
    )
    old.connection.close()
    rebuild.wait_for_end_of("nobody")
    assert other.resolve_outcome(job_id, psycopg.OperationalError("lost"), sleep=lambda _: None) is None
    assert _job(app, job_id) == ("leased", 1, 1)
