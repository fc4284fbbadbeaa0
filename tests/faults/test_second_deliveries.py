"""Messages that come twice, late, or to a worker that was given up: they change nothing.

Copying is not idempotent: a chunk that is copied twice is twice in the next table, and before the
first drain and the indexes nothing would put that right.
"""

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import COLUMNS, differences

from demo.embedded import EmbeddedValkey
from faults.broker_view import messages
from faults.sending import dispatching
from replank.errors import LeaseLost
from replank.values.states import JobKind
from sql.ledger.jobs import claims
from sql.ledger.jobs.claims import Failure
from sql.ledger.jobs.job_queue import Sendable
from sql.ledger.tables import tables
from sql.session.connection import connect
from workers.kinds.table_jobs import Limits, perform

pytestmark = pytest.mark.faults

LIMITS = Limits(statement_timeout_ms=60_000, lock_timeout_ms=5_000, index_memory_mb=64)
_JOBS = "SELECT job_id, state, attempt, started_at, finished_at, rows, worker FROM replank.job ORDER BY job_id"


def count_rows(url: str, schema: str) -> dict[str, int]:
    """Rows of each of the shop's tables in `schema`."""
    counted = {}
    with psycopg.connect(url) as connection:
        for table in COLUMNS:
            query = SQL("SELECT count(*) FROM {}").format(Identifier(schema, table))
            found = connection.execute(query).fetchone()
            assert found is not None
            counted[table] = int(found[0])
    return counted


def test_every_message_three_times_and_once_more_when_it_is_done(
    site: Site, broker: EmbeddedValkey, ledger: LedgerView
) -> None:
    # Given: copy jobs, sent once, and no coordinator that could go on to a drain
    site.run(workers=0)
    ledger.wait_for_states({"copying"})
    site.end()
    copies = [
        Sendable(job_id=int(str(job)), kind=JobKind.COPY, table_no=1)
        for (job,) in ledger.rows("SELECT job_id FROM replank.job ORDER BY job_id")
    ]
    assert len(copies) >= 4
    # When: each is sent three times more, and workers do them
    with dispatching(site) as dispatcher:
        for _ in range(3):
            assert dispatcher.send(1, copies, {}) == []
    site.worker("--concurrency=3")
    wait_for("all messages to be consumed", lambda: messages(broker) == 0, explain=ledger.explain)
    # Then: each was executed once
    assert ledger.jobs("done") == len(copies)
    assert ledger.interrupted_jobs() == 0
    assert count_rows(site.database_url, "replank_next") == count_rows(site.database_url, "public")

    # When: they come late, long after they were done
    before = ledger.rows(_JOBS)
    with dispatching(site) as dispatcher:
        assert dispatcher.send(1, copies, {}) == []
    wait_for("all messages to be consumed", lambda: messages(broker) == 0)
    # Then: nothing at all has changed
    assert ledger.rows(_JOBS) == before
    assert count_rows(site.database_url, "replank_next") == count_rows(site.database_url, "public")

    # And: the run ends well
    assert site.run(workers=0).wait().exit_code == 0
    assert differences(site.database_url) == []


def test_an_attempt_that_was_overtaken_changes_nothing(site: Site, ledger: LedgerView) -> None:
    # Given: a worker that claimed a copy job and then came to a stop, its session idle past its lease
    site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"copying"})
    job_id = ledger.number("SELECT min(job_id) FROM replank.job WHERE kind = 'copy'")
    with connect(site.database_url, name="worker that stopped") as stopped:
        job = claims.claim(stopped, run_id=1, job_id=job_id, worker="stopped:1", lease_s=0.2)
        assert job is not None
        table = tables.read_table(stopped, 1, job.table_no)
        # When: the coordinator gives the job to another worker, and then the first one goes on
        site.worker("--concurrency=1")
        ledger.wait_for_states({"ready"})
        wait_for("the last drains", lambda: ledger.unfinished_jobs() == 0, explain=ledger.explain)
        before = ledger.rows(_JOBS)
        with pytest.raises(LeaseLost):
            perform(stopped, job, table, LIMITS)
        claims.fail(stopped, job, Failure(error_class="late", sqlstate="", message="a late word"))
        claims.give_back(stopped, job, Failure(error_class="late", sqlstate="", message="a late word"), delay_s=0)
    # Then: neither its work nor its words counted
    assert ledger.rows(_JOBS) == before
    assert ledger.number("SELECT attempt FROM replank.job WHERE job_id = %s", job_id) == 2
    assert ledger.number("SELECT count(*) FROM replank.event WHERE message LIKE 'differences%'") == 0
    assert count_rows(site.database_url, "replank_next") == count_rows(site.database_url, "public")
