"""A job that this version cannot read: one sentence in the worker's log, and the job waits for the operator."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
import structlog
from psycopg.sql import SQL, Identifier
from support.oracles.oracle import differences, live, past
from support.runs.harness import Rebuild, table

from replank.values.messages import QUEUES
from replank.values.states import TableState
from sql.ledger.jobs import failed
from workers.application.celery_app import Child
from workers.execution.outcome import Outcome
from workers.stopping.refused_worker import Refusals

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]


@pytest.fixture
def copying(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Table t with its copy jobs waiting, in a ledger that takes any words."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 300) AS g")
    rebuild = begin(table("t", "id", axis="heap"))
    rebuild.until(TableState.COPYING)
    app.execute("ALTER TABLE replank.job DROP CONSTRAINT job_kind_check, DROP CONSTRAINT job_axis_check")
    return rebuild


@pytest.fixture
def child(copying: Rebuild) -> Iterator[Child]:
    """A worker's process."""
    made = Child(copying.settings, QUEUES, Refusals())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("column", "value"), [("kind", "merge"), ("axis", "diagonal"), ("detail", '["of a newer version"]'), ("lower", "7")]
)
def test_it_waits_for_the_operator(
    app: psycopg.Connection, copying: Rebuild, child: Child, column: str, value: str
) -> None:
    # Given: a job that another version wrote
    job_id = copying.jobs("copy")[0]
    app.execute("CREATE TABLE before AS SELECT * FROM replank.job WHERE job_id = %s", [job_id])
    changed = SQL("UPDATE replank.job SET {} = %s WHERE job_id = %s").format(Identifier(column))
    app.execute(changed, [value, job_id])
    # When: its message comes
    with structlog.testing.capture_logs() as lines:
        report = child.deliver(copying.run_id, job_id)
    # Then: the log has one sentence of it, and no traceback
    assert (report.outcome, report.words) == (Outcome.FAILED, "needs the operator")
    (line,) = [line for line in lines if line["log_level"] != "debug"]
    assert (line["event"], line["run"], line["job"]) == ("job needs the operator", copying.run_id, job_id)
    assert line["reason"].startswith(
        f"The ledger holds what this version of Replank does not understand (run_id {copying.run_id}, job_id {job_id}"
    )
    assert f" {column}" in line["reason"]
    assert "exc_info" not in line
    # And the job is nobody's: it has failed at its first attempt, with what to do about it
    found = "SELECT state, attempt, error_class, message FROM replank.job WHERE job_id = %s"
    ((state, attempt, error_class, message),) = app.execute(found, [job_id])
    assert (state, attempt, error_class) == ("failed", 1, "needs the operator")
    assert message.startswith(line["reason"])
    assert "Continue with the version that began the run" in message
    # When: it is as this version knows it, and is tried again
    as_before = SQL("UPDATE replank.job j SET {0} = b.{0} FROM before b WHERE j.job_id = b.job_id")
    app.execute(as_before.format(Identifier(column)))
    assert failed.retry(copying.connection, copying.run_id, [job_id]) == 1
    assert child.deliver(copying.run_id, job_id).outcome is Outcome.DONE
    copying.finish()
    # Then: nothing was lost
    assert differences(app, past("t"), live("t"), {"id"}) == []
