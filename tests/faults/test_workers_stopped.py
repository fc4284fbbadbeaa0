"""Workers that are stopped by their operator, or whose sessions a DBA ends: that costs their jobs no attempt."""

import pytest
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Process, Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import differences

from faults.monitor import monitoring

pytestmark = pytest.mark.faults

_COUNTED = "SELECT coalesce(max(attempt - forgiven), 0) FROM replank.job WHERE state = 'waiting'"
_HISTORY = "SELECT outcome, counts, error_class FROM replank.job_attempt ORDER BY ended"


def _begin(site: Site, ledger: LedgerView) -> Process:
    """A run with chunks that are cut, and no worker."""
    run = site.run(workers=0)
    ledger.wait_for_states({"copying"})
    return run


def test_a_worker_that_is_stopped_in_the_middle_of_a_job_gives_it_back(site: Site, ledger: LedgerView) -> None:
    # Given a worker whose job does not end
    run = _begin(site, ledger)
    with locked(site.database_url, "replank_next", "orders"), monitoring(site) as monitor:
        worker = site.worker("--concurrency=1", REMAP_SIGTERM="SIGQUIT", REPLANK_SOFT_SHUTDOWN_S="1")
        wait_for("a job that waits for the lock", lambda: _blocked(ledger), explain=ledger.explain)
        # When it is stopped, and its patience with the job is over
        worker.terminate()
        stopped = worker.wait(deadline_s=30)
        assert "Traceback" not in stopped.stderr
        # Then its job waits again at no cost, and its session is gone
        wait_for("the job to be given back", lambda: ledger.leases() == [], explain=ledger.explain)
        assert ledger.number(_COUNTED) == 0
        assert ledger.rows(_HISTORY) == [("stopped", False, "shutdown")]
        # And monitors have heard that it is tried again, each delivery once
        assert monitor.wait_for("RETRY").result.startswith("lost: its worker was stopped")
        assert not {"STARTED", "FAILURE", "CANCELLED"} & set(monitor.states())
    # And another worker does it
    site.worker("--concurrency=1")
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []


def test_a_worker_that_is_stopped_waits_for_its_job_and_no_longer(site: Site, ledger: LedgerView) -> None:
    run = _begin(site, ledger)
    with locked(site.database_url, "replank_next", "orders"):
        worker = site.worker("--concurrency=1", REMAP_SIGTERM="SIGQUIT", REPLANK_SOFT_SHUTDOWN_S="300")
        wait_for("a job that waits for the lock", lambda: _blocked(ledger), explain=ledger.explain)
        worker.terminate()
        wait_for("the worker to be stopping", lambda: "present jobs may end" in worker.stderr)
        assert worker.running
    # When its job can end
    worker.wait(deadline_s=60)
    assert ledger.rows(_HISTORY) == []
    assert ledger.leases() == []
    site.worker("--concurrency=1")
    assert run.wait().exit_code == 0


def test_a_session_that_a_dba_ends_costs_no_attempt(site: Site, ledger: LedgerView) -> None:
    # Given a worker whose job does not end
    run = _begin(site, ledger)
    with locked(site.database_url, "replank_next", "orders"):
        site.worker("--concurrency=1")
        for times in range(1, 4):
            wait_for("a job that waits for the lock", lambda: _blocked(ledger), explain=ledger.explain)
            # When its session is ended, three times
            assert ledger.terminate("replank worker%") >= 1
            wait_for(
                "the job to be given back",
                lambda times=times: len(ledger.rows(_HISTORY)) == times,  # type: ignore[misc]
                explain=ledger.explain,
            )
        # Then none of them counts
        assert set(ledger.rows(_HISTORY)) == {("stopped", False, "shutdown")}
        assert (
            ledger.number("SELECT max(attempt - forgiven) FROM replank.job WHERE state IN ('waiting', 'leased')") <= 1
        )
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []


def _blocked(ledger: LedgerView) -> bool:
    return bool(
        ledger.number(
            "SELECT count(*) FROM replank.job j JOIN pg_stat_activity a ON a.pid = j.backend_pid"
            " WHERE j.state = 'leased' AND a.wait_event_type = 'Lock'"
        )
    )
