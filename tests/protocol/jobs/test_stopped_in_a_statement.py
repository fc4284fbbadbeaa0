"""SIGTERM to a worker's process while a statement of its job is under way: nothing is lost, nor said by the driver."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import built, differences, live, on, one, past
from support.runs.harness import Rebuild, eventually, table

from replank.values.messages import QUEUES
from replank.values.states import TableState
from workers.application.celery_app import Child
from workers.stopping.refused_worker import Refusals

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

IN_THE_STATEMENT = "CREATE TRIGGER slow BEFORE INSERT ON {t} FOR EACH STATEMENT EXECUTE FUNCTION slow()"
AT_COMMIT = (
    "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON {t} DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION slow()"
)
ACTIVE = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'replank worker%' AND state = 'active' AND wait_event = 'PgSleep'"
)
HISTORY = "SELECT outcome, counts, error_class FROM replank.job_attempt WHERE job_id = %s"


@pytest.mark.parametrize("slow", [IN_THE_STATEMENT, AT_COMMIT])
def test_a_worker_that_is_stopped_cancels_its_statement_and_gives_the_job_back(
    app: psycopg.Connection, begin: Begin, caplog: pytest.LogCaptureFixture, slow: str
) -> None:
    # Given: a job whose statement takes an hour
    on(app, "t", "CREATE TABLE {t} (id text PRIMARY KEY, n int)")
    on(app, "t", "INSERT INTO {t} SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    rebuild = begin(table("t", "id"))
    rebuild.until(TableState.COPYING)
    app.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$"
    )
    on(app, built("t"), slow)
    (job_id,) = rebuild.jobs("copy")
    child = Child(rebuild.settings, QUEUES, Refusals())

    def stop_when_asleep() -> None:
        eventually(lambda: one(app, ACTIVE) == 1, "the statement")
        os.kill(os.getpid(), signal.SIGTERM)

    stopping = threading.Thread(target=stop_when_asleep)
    stopping.start()
    # When: its process is told to stop
    with caplog.at_level(logging.WARNING), pytest.raises(SystemExit) as ended:
        child.deliver(rebuild.run_id, job_id)
    began = time.monotonic()
    stopping.join()
    child.close()
    # Then: it ends as one that was stopped, and there is nothing to say about it
    assert ended.value.code == 128 + signal.SIGTERM
    assert caplog.messages == []
    # And: the job waits again at no cost, and the server does not work on for it
    assert app.execute(HISTORY, [job_id]).fetchall() == [("stopped", False, "shutdown")]
    assert one(app, "SELECT max(attempt - forgiven) FROM replank.job WHERE state = 'waiting'") == 0
    eventually(lambda: one(app, ACTIVE) == 0, "the end of its statement", deadline_s=5)
    assert time.monotonic() - began < 10
    # And: nothing of it is lost, or there twice
    on(app, built("t"), "DROP TRIGGER slow ON {t}")
    rebuild.pass_time()
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
