"""`kill -9` of workers while they work, and what would happen without the sweeper."""

import contextlib
import threading

import psutil
import pytest
from support.runs.gates import locked
from support.runs.ledger_view import Lease, LedgerView
from support.runs.processes import Site, is_alive
from support.runs.waiting import stays, wait_for
from support.schemas.small_shop import add_order, differences

from faults.sending import dispatching, settings_of
from producer.coordinator.coordinator import Coordinator
from sql.ledger.runs.runs import Run
from sql.session.connection import connect

pytestmark = pytest.mark.faults


def test_killed_child_and_killed_worker_cost_only_time(site: Site, ledger: LedgerView) -> None:
    # Given: copying has begun and cannot go on, because the next table is locked
    site.run(workers=0)
    ledger.wait_for_states({"copying"})
    site.end()
    with locked(site.database_url, "replank_next", "orders"):
        run = site.run(workers=2)
        leases = wait_for("both children to work", lambda: _at_least(ledger, 2), explain=ledger.explain)

        # When: one child is killed in the middle of its job
        psutil.Process(leases[0].process).kill()
        wait_for(
            "the killed child's job to be taken back",
            lambda: ledger.number("SELECT count(*) FROM replank.job WHERE error_class = 'worker lost'") == 1,
            explain=ledger.explain,
        )
        # When: the worker itself is killed, and its children are orphans in the middle of their jobs
        (worker,) = psutil.Process(run.pid).children()
        orphans = worker.children()
        worker.kill()
        wait_for(
            "another local worker to be started",
            lambda: any(child.pid != worker.pid and is_alive(child) for child in psutil.Process(run.pid).children()),
        )
        add_order(site.database_url, number=-1)

    # Then: nobody has to do anything
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    assert ledger.unfinished_jobs() == 0
    assert ledger.interrupted_jobs() >= 1
    wait_for("the orphans to end by themselves", lambda: not any(map(is_alive, orphans)))


def _at_least(ledger: LedgerView, count: int) -> list[Lease]:
    leases = ledger.leases()
    return leases if len(leases) >= count else []


class WithoutSweeper(Coordinator):
    """The negative control: a coordinator that never takes a job back."""

    def _sweep(self, run: Run) -> None:
        """Nothing."""


class _Enough(Exception):
    """Ends the negative control's coordinator between two turns."""


def test_without_the_sweeper_a_killed_workers_job_is_lost_for_ever(site: Site, ledger: LedgerView) -> None:
    # Given: a run that a coordinator without a sweeper goes on with
    site.run(workers=0)
    ledger.wait_for_states({"copying"})
    site.end()
    stop = threading.Event()
    control = threading.Thread(target=_drive_without_sweeper, args=(site, stop))
    control.start()
    try:
        with locked(site.database_url, "replank_next", "customers"):
            site.worker("--concurrency=1")
            # When: the only child is killed in the middle of its job
            job = wait_for("a job to meet the lock", lambda: _kill_blocked(ledger), explain=ledger.explain)
        # Then: its job is leased for ever, though the worker has a new child that does all others
        ledger.wait_for_states({"copying", "ready"})
        assert stays(lambda: ledger.rows(_STATE, job) == [("leased", 1)], for_s=4)
    finally:
        stop.set()
        control.join(30)
    # And: an ordinary coordinator has it done
    finished = site.run(workers=0).wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    assert ledger.rows(_STATE, job) == [("done", 2)]


_STATE = "SELECT state, attempt FROM replank.job WHERE job_id = %s"


def _kill_blocked(ledger: LedgerView) -> int:
    """Kill the process whose session waits for a lock. Returns the id of its job, or 0."""
    blocked = ledger.rows(
        "SELECT split_part(j.worker, ':', 2)::int, job_id FROM replank.job j"
        " JOIN pg_stat_activity a ON a.pid = j.backend_pid"
        " WHERE j.state = 'leased' AND a.wait_event_type = 'Lock'"
    )
    for process, job_id in blocked:
        psutil.Process(int(str(process))).kill()
        return int(str(job_id))
    return 0


def _drive_without_sweeper(site: Site, stop: threading.Event) -> None:
    def between_turns(_: object) -> None:
        if stop.is_set():
            raise _Enough

    with (
        contextlib.suppress(_Enough),
        dispatching(site) as dispatcher,
        connect(site.database_url, name="coordinator without sweeper") as connection,
    ):
        WithoutSweeper(
            connection=connection,
            settings=settings_of(site, resend_after_s=0.5, lease_s=0.5),
            run_id=1,
            dispatcher=dispatcher,
            between_turns=between_turns,
        ).drive()
