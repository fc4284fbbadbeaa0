"""Celery's states tell the truth of what became of a delivery, and Celery does nothing about it."""

import psutil
import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import stays, wait_for

from demo.embedded import EmbeddedValkey
from faults.broker_view import messages
from faults.monitor import monitoring
from faults.sending import dispatching
from replank.values.states import JobKind
from sql.ledger.jobs.job_queue import Sendable

pytestmark = pytest.mark.faults

SECRET = "broken-42-of-a-customer"


def _copy(job_id: int) -> Sendable:
    return Sendable(job_id=job_id, kind=JobKind.COPY, table_no=1)


def test_failed_split_and_done_deliveries(site: Site, broker: EmbeddedValkey, ledger: LedgerView) -> None:
    # Given: a row that is no uuid, and nothing that may be set aside
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE orders SET id = %s WHERE number = 42", [SECRET])
    worker = site.worker("--concurrency", "2")
    with monitoring(site) as monitor:
        # When: the run meets it
        assert site.run(workers=0).wait().exit_code == 1
        failed = ledger.number("SELECT job_id FROM replank.job WHERE state = 'failed'")
        halved = ledger.number("SELECT min(job_id) FROM replank.job WHERE state = 'split'")
        # Then: its last piece has failed for Celery as well, what was halved is tried again, the others are done
        task = monitor.wait_for("FAILURE", failed)
        assert task.exception.startswith("JobFailed(")
        assert task.result == "failed: attempt 1: value does not convert 22P02"
        assert task.runtime > 0
        task = monitor.wait_for("RETRY", halved)
        assert task.exception.startswith("JobWaits(")
        assert task.result.startswith("split: ")
        done = monitor.wait_for("SUCCESS", ledger.number("SELECT min(job_id) FROM replank.job WHERE state = 'done'"))
        assert "rows, attempt 1" in done.result
        # Each delivery has one end, and there are as many failed and retried ones as the ledger has
        wait_for("every delivery to end", lambda: not {"RECEIVED", "STARTED", "PENDING"} & set(monitor.states()))
        assert monitor.states().count("FAILURE") == ledger.jobs("failed") == 1
        assert monitor.states().count("RETRY") == ledger.jobs("split")
        # No value of a row travels, nor a line of a traceback
        assert SECRET not in monitor.everything()
        assert {task.traceback for task in monitor.deliveries()} == {None}
        # And Celery leaves it at that: the ledger alone sends again
        assert stays(lambda: messages(broker) == 0, for_s=1.0)
        assert len(monitor.deliveries(failed)) == 1
    # An expected failure is one line of the worker's log
    assert "Traceback" not in worker.stderr


def test_a_delivery_that_waits_for_another_attempt(site: Site, broker: EmbeddedValkey, ledger: LedgerView) -> None:
    # Given: a table that an application's session holds
    site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"copying"})
    worker = site.worker("--concurrency", "1", REPLANK_LOCK_TIMEOUT_MS="200")
    job = ledger.number("SELECT min(job_id) FROM replank.job WHERE kind = 'copy' AND table_no = 1")
    with monitoring(site) as monitor, psycopg.connect(site.database_url) as holder:
        holder.execute("LOCK TABLE orders, customers IN ACCESS EXCLUSIVE MODE")
        # When: a worker cannot have it
        task = monitor.wait_for("RETRY")
        # Then: that delivery says so, and the next attempt is the ledger's own message
        assert task.result.startswith("again: attempt 1: lock timeout 55P03")
        assert task.retries == 0
        holder.rollback()
        ledger.wait_for_states({"ready"})
        assert ledger.interrupted_jobs() > 0
        wait_for("the messages to be gone", lambda: messages(broker) == 0)
        assert "SUCCESS" in monitor.states(job)
    assert "Traceback" not in worker.stderr


def test_deliveries_that_come_late_twice_or_to_nothing(site: Site, broker: EmbeddedValkey, ledger: LedgerView) -> None:
    # Given: a copy job that is done, one of a run that rests, and none
    site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"copying"})
    site.end()
    first, second = (int(str(job)) for (job,) in ledger.rows("SELECT job_id FROM replank.job ORDER BY job_id LIMIT 2"))
    worker = site.worker("--concurrency", "1")
    with monitoring(site) as monitor, dispatching(site) as dispatcher:
        assert dispatcher.send(1, [_copy(first), _copy(second)], {}) == []
        monitor.wait_for("SUCCESS", first)
        monitor.wait_for("SUCCESS", second)
        with psycopg.connect(site.database_url) as connection:
            connection.execute("UPDATE replank.job SET state = 'waiting' WHERE job_id = %s", [second])
        assert site.call("pause").exit_code == 0
        # When: messages of theirs come
        assert dispatcher.send(1, [_copy(first), _copy(second), _copy(999_999)], {}) == []
        # Then: each is ignored, and says why
        monitor.wait_for("IGNORED", 999_999)
        ignored = {job: monitor.deliveries(job)[-1].result for job in (first, second, 999_999)}
        assert ignored[first].startswith("nothing: already done by ")
        assert ignored[second] == "nothing: the run is paused or throttled here; the ledger sends it again"
        assert ignored[999_999] == "nothing: run 1 has no such job in this ledger"
        assert monitor.states(first).count("SUCCESS") == 1
        assert stays(lambda: messages(broker) == 0, for_s=1.0)
    assert "Traceback" not in worker.stderr


def test_a_process_that_is_killed_at_its_job(site: Site, broker: EmbeddedValkey, ledger: LedgerView) -> None:
    # Given: a job that waits for a lock
    site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"copying"})
    with monitoring(site) as monitor, psycopg.connect(site.database_url) as holder:
        holder.execute("LOCK TABLE orders, customers IN ACCESS EXCLUSIVE MODE")
        site.worker("--concurrency", "1")
        lease = wait_for("a lease", ledger.leases)[0]
        # When: its process is killed
        psutil.Process(lease.process).kill()
        # Then: Celery does not send it again; the coordinator does
        task = monitor.wait_for("RETRY", lease.job_id)
        assert task.result.startswith("lost: the process was lost (")
        holder.rollback()
        ledger.wait_for_states({"ready"})
        states = monitor.states(lease.job_id)
        assert (states[0], states.count("RETRY"), states.count("SUCCESS")) == ("RETRY", 1, 1)
        wait_for("the messages to be gone", lambda: messages(broker) == 0)
