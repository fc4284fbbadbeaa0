"""`rollback`: before the cutover every trace goes, after it nothing happens."""

import psycopg
import pytest
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import add_order

from cli.conftest import ORDERS
from cli.evidence import document_of, id_types, look, refused, traces

pytestmark = pytest.mark.cli


def test_rolling_back_a_stopped_run_leaves_no_trace(site: Site, ledger: LedgerView) -> None:
    # Given a run that is ready for its cutover, and was stopped there
    before = look(site.database_url)
    run = site.run("--hold-cutover")
    ledger.wait_for_states({"ready"})
    run.terminate()
    assert run.wait().exit_code == 1
    assert look(site.database_url) != before

    # When it is rolled back
    done = site.call("rollback", "--yes", "--forget")

    # Then nothing of it is left
    assert done.exit_code == 0, done.stderr
    assert "Run 1 is rolled back" in done.stderr
    assert "nothing of Replank is left in this database" in done.stderr
    assert done.stdout == ""
    assert look(site.database_url) == before
    assert traces(site.database_url) == []
    # And there is nothing more to roll back
    refused(site.call("rollback", "--yes", "--forget"), "nothing to roll back", exit_code=2)


def test_rollback_ends_a_coordinator_and_its_workers_that_are_ready(site: Site, ledger: LedgerView) -> None:
    # Given a run that waits for its cutover, with local workers, while the application writes
    run = site.run("--hold-cutover")
    ledger.wait_for_states({"ready"})
    add_order(site.database_url, number=-1)
    types = id_types(site.database_url)

    # When it is rolled back
    done = site.call("rollback", "--yes", "--forget")

    # Then coordinator and workers end by themselves, and nothing is left
    assert done.exit_code == 0, done.stderr
    finished = run.wait(deadline_s=30)
    assert finished.exit_code == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    assert "rolled back" in finished.stderr
    wait_for("the workers to end", lambda: not run.family())
    assert traces(site.database_url) == []
    assert id_types(site.database_url) == types
    with psycopg.connect(site.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (ORDERS + 1,)


def test_rollback_ends_jobs_that_are_under_way(site: Site, ledger: LedgerView) -> None:
    # Given a worker in the middle of a job that cannot go on
    before = look(site.database_url)
    run = site.run(workers=0)
    ledger.wait_for_states({"copying"})
    with locked(site.database_url, "replank_next", "orders"):
        worker = site.worker("--concurrency=1")
        lease = wait_for("a job to meet the lock", lambda: _blocked(ledger), explain=ledger.explain)

        # When the run is rolled back
        rollback = site.start("rollback", "--yes", "--forget")

        # Then the job's session is ended, for it does not end by itself
        wait_for("the session to be ended", lambda: not _lives(ledger, lease), explain=ledger.explain)
    done = rollback.wait()
    assert done.exit_code == 0, done.stderr
    assert "of Replank in which a job is still running" in done.stderr
    assert run.wait(deadline_s=30).exit_code == 1
    assert look(site.database_url) == before
    # And the worker is as it was: it serves other runs too
    assert worker.running
    worker.terminate()
    worker.wait(deadline_s=60)
    assert "Traceback" not in worker.stderr
    assert traces(site.database_url) == []


def _blocked(ledger: LedgerView) -> int:
    """The session of a job that waits for a lock, or 0."""
    return ledger.number(
        "SELECT backend_pid FROM replank.job j JOIN pg_stat_activity a ON a.pid = j.backend_pid"
        " WHERE j.state = 'leased' AND a.wait_event_type = 'Lock'"
    )


def _lives(ledger: LedgerView, backend: int) -> bool:
    return bool(ledger.rows("SELECT FROM pg_stat_activity WHERE pid = %s", backend))


def test_a_rollback_that_was_killed_goes_on(site: Site, ledger: LedgerView) -> None:
    # Given a run that copies
    before = look(site.database_url)
    leader = site.run(workers=0)
    ledger.wait_for_states({"copying"})
    with locked(site.database_url, "public", "orders"):
        # When a rollback waits for the application's lock, and is killed there
        rollback = site.start("rollback", "--yes", "--forget")
        stopped = leader.wait(deadline_s=30)
        assert stopped.exit_code == 1, stopped.stderr
        told = document_of(stopped)
        assert isinstance(told, dict)
        assert told["state"] == "rolling_back"
        wait_for("the lock to be met", lambda: ledger.rows(_WAITS, "replank rollback"), explain=ledger.explain)
        rollback.kill()
        # Then nobody can go on with the run but a rollback
        refused(site.call("retry"), "Run 1 is being rolled back", "`replank rollback` again", exit_code=2)
        again = site.run(workers=0).wait()
        assert again.exit_code == 1, again.stderr
        assert "run `replank rollback` again to continue it" in again.stderr
    # And that one comes to its end
    assert site.call("rollback", "--yes", "--forget").exit_code == 0
    assert look(site.database_url) == before
    assert traces(site.database_url) == []


_WAITS = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"


def test_a_coordinator_that_waits_to_take_over_learns_of_the_rollback(site: Site, ledger: LedgerView) -> None:
    run = site.run(workers=0)
    ledger.wait_for_states({"copying"})
    second = site.run(workers=0)
    wait_for("the second to wait", lambda: "this one waits until it ends" in second.stderr)
    assert site.call("rollback", "--yes").exit_code == 0
    assert run.wait(deadline_s=30).exit_code == 1
    # Whether it led before the rollback did or after it: it finds the word in the ledger
    ended = second.wait(deadline_s=30)
    assert ended.exit_code == 1, ended.stderr
    assert "rolled back" in ended.stderr
    assert "Traceback" not in ended.stderr
    # And the record that stays goes by itself
    assert ledger.run_state() == "rolled_back"
    assert site.call("rollback", "--yes", "--forget").exit_code == 0
    assert traces(site.database_url) == []


def test_without_reverse_capture_rollback_is_refused_from_the_swap_on(site: Site, ledger: LedgerView) -> None:
    # Given a plan without the way back, tables that are swapped, and foreign keys that nobody has validated yet
    plan = site.plan.read_text(encoding="utf-8")
    site.plan.write_text(plan.replace("[options]", "[options]\nreverse_capture = false"), encoding="utf-8")
    run = site.run("--hold-cutover")
    ledger.wait_for_states({"ready"})
    # A drain left waiting would keep the set from its cutover until there is a worker again.
    wait_for("the last drains", lambda: not ledger.unfinished_jobs(), explain=ledger.explain)
    run.terminate()
    run.wait()
    assert site.call("cutover").exit_code == 0
    coordinator = site.run(workers=0)
    # The table without foreign keys is done, and its capture gone; the other one waits.
    wait_for("the swap", lambda: ledger.table_states() == {"validating", "done"}, explain=ledger.explain)
    before = look(site.database_url)

    # When it is rolled back, then that is refused
    words = ("reverse_capture = false", "a rollback would lose it", "replank_past")
    refused(site.call("rollback", "--yes", "--forget"), *words, exit_code=2)

    # And nothing has changed: the run can be finished
    assert look(site.database_url) == before
    assert ledger.run_state() == "running"
    site.worker("--concurrency=1")
    finished = coordinator.wait()
    assert finished.exit_code == 0, finished.stderr
    # And a finished run is refused too, in words that say why
    before = look(site.database_url)
    refused(site.call("rollback", "--yes", "--forget"), *words, exit_code=2)
    assert look(site.database_url) == before


def test_rollback_between_swap_and_validation(site: Site, ledger: LedgerView) -> None:
    # Given a coordinator that leads a run whose tables are swapped, and not validated
    before = look(site.database_url)
    run = site.run("--hold-cutover")
    ledger.wait_for_states({"ready"})
    # A drain left waiting would keep the set from its cutover until there is a worker again.
    wait_for("the last drains", lambda: not ledger.unfinished_jobs(), explain=ledger.explain)
    run.terminate()
    run.wait()
    assert site.call("cutover").exit_code == 0
    coordinator = site.run(workers=0)
    wait_for("the swap", lambda: ledger.table_states() == {"validating", "done"}, explain=ledger.explain)

    # When it is rolled back
    done = site.call("rollback", "--yes", "--forget")

    # Then the coordinator ends, and everything is as it was
    assert done.exit_code == 0, done.stderr
    assert coordinator.wait(deadline_s=30).exit_code == 1
    assert look(site.database_url) == before
    assert traces(site.database_url) == []


def test_rolling_back_where_nothing_ever_ran_is_wrong_use(site: Site) -> None:
    before = look(site.database_url)
    refused(site.call("rollback", "--yes", "--forget"), "there is nothing to roll back", exit_code=2)
    assert look(site.database_url) == before
