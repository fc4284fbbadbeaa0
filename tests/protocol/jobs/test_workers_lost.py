"""A job at which workers vanish each time (killed for their memory): bounded, and in smaller and smaller pieces."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import differences, live, one, past
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, table

from protocol.jobs.mortal import mortal_worker
from replank.values.states import TableState
from workers.execution.outcome import Outcome

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

STATEMENTS = 3
"""The claim is among them, the job's end is not."""


def lose(rebuild: Rebuild, job_id: int) -> None:
    """A worker vanishes in the middle of the job, and the sweeper takes it back."""
    worker = mortal_worker(rebuild.settings, STATEMENTS)
    with pytest.raises(psycopg.OperationalError):
        rebuild.execute(job_id, worker)
    worker.connection.close()
    rebuild.wait_for_end_of("replank mortal")
    rebuild.turn()
    rebuild.pass_time()


@pytest.mark.attack("D6", "every worker that begins a job vanishes (killed for its memory)")
def test_a_job_that_loses_its_workers_is_halved(app: psycopg.Connection, begin: Begin, attack: Attack) -> None:
    # Given
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 300) AS g")
    rebuild = begin(table("t", "id"))
    rebuild.until(TableState.COPYING)
    (job_id,) = rebuild.jobs("copy")
    # When: two workers are lost at it
    for _ in range(2):
        assert rebuild.jobs("copy") == [job_id]
        lose(rebuild, job_id)
    lost = app.execute("SELECT outcome, error_class, counts FROM replank.job_attempt ORDER BY attempt").fetchall()
    assert lost == [("lost", "worker lost", True)] * 2
    # Then: the third attempt halves it without doing it
    assert rebuild.execute(job_id) is Outcome.SPLIT
    halves = rebuild.jobs("copy")
    assert len(halves) == 2
    # And: a half is halved after its first loss; the other one is simply done
    lose(rebuild, halves[0])
    assert rebuild.execute(halves[0]) is Outcome.SPLIT
    assert rebuild.execute(halves[1]) is Outcome.DONE
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM replank.job WHERE state = 'failed'") == 0
    assert differences(app, past("t"), live("t"), {"id"}) == []
    attack.record("halved after two lost workers, its halves after one; done", tried=3)
