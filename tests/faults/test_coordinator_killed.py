"""`kill -9` of the coordinator in every stage; two coordinators at once; workers on another host."""

import time

import psutil
import pytest
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site, is_alive
from support.runs.waiting import wait_for
from support.schemas.small_shop import add_order, differences

from demo.embedded import EmbeddedPostgres, EmbeddedValkey

pytestmark = pytest.mark.faults


def test_killed_in_every_stage_and_started_again(site: Site, ledger: LedgerView) -> None:
    """Workers of other hosts that serve one queue each hold the run in a stage until it was killed there."""
    # Given: no worker at all, so copying cannot end
    coordinator = site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"copying"})
    coordinator.kill()
    add_order(site.database_url, number=-1)

    # When: only copies and drains have a worker, so building indexes cannot end
    site.worker("--concurrency=1", "--queues=replank.copy")
    coordinator = site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"indexing"})
    coordinator.kill()
    add_order(site.database_url, number=-2)

    # When: indexes have one too, so verifying cannot end
    site.worker("--concurrency=1", "--queues=replank.index")
    coordinator = site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"verifying"})
    coordinator.kill()
    add_order(site.database_url, number=-3)

    # When: everything has one, and the cutover is held
    site.worker("--concurrency=1", "--queues=replank.verify")
    coordinator = site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"ready"})
    coordinator.kill()
    add_order(site.database_url, number=-4)

    # Then: the last one finishes, with every row and no job left
    assert site.call("cutover").exit_code == 0
    finished = site.run(workers=0).wait()
    assert finished.exit_code == 0, finished.stderr
    assert finished.document["state"] == "done"
    assert differences(site.database_url) == []
    assert ledger.unfinished_jobs() == 0
    assert ledger.number("SELECT count(*) FROM orders WHERE number < 0") == 4


def test_local_workers_end_with_a_killed_coordinator(site: Site, ledger: LedgerView) -> None:
    # Given: a coordinator with local workers that hold leases
    coordinator = site.run("--hold-cutover", workers=2)
    ledger.wait_for_states({"ready"})
    family = coordinator.family()
    assert len(family) >= 3, "a worker and its two children"
    # When
    coordinator.kill()
    # Then: they end by themselves
    wait_for("the local workers to end", lambda: not any(map(is_alive, family)), deadline_s=20)
    assert ledger.number("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'replank worker%'") == 0


def test_local_workers_end_though_everything_goes_at_once(
    site: Site, ledger: LedgerView, broker: EmbeddedValkey, postgres: EmbeddedPostgres
) -> None:
    """A machine's demonstration is killed: coordinator first, then the servers, in the middle of jobs."""
    # Given: local workers whose jobs do not end
    site.run(workers=0)
    ledger.wait_for_states({"copying"})
    site.end()
    with locked(site.database_url, "replank_next", "orders"):
        coordinator = site.run(workers=2, REPLANK_SOFT_SHUTDOWN_S="2")
        wait_for("both children to work", lambda: len(ledger.leases()) == 2, explain=ledger.explain)
        family = coordinator.family()
        # When: broker and database go while the workers already end for want of their coordinator
        coordinator.kill()
        time.sleep(0.8)
        broker.kill()
        postgres.crash()
    try:
        # Then: they do not wait for them for ever
        wait_for("the local workers to end", lambda: not any(map(is_alive, family)), deadline_s=20)
    finally:
        broker.resume()
        postgres.resume()


def test_a_second_coordinator_waits_and_takes_over(site: Site, ledger: LedgerView) -> None:
    # Given: one leads, and copying cannot end
    first = site.run(workers=0)
    ledger.wait_for_states({"copying"})
    # When: a second one comes
    second = site.run(workers=2)
    wait_for("the second to say that it waits", lambda: "another coordinator is running" in second.stderr)
    assert first.running
    assert second.running
    first.kill()
    # Then: the second finishes
    finished = second.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    assert ledger.unfinished_jobs() == 0


def test_workers_of_another_host_need_only_the_two_urls(site: Site, ledger: LedgerView) -> None:
    # Given
    worker = site.worker("--concurrency=2")
    # When
    finished = site.run(workers=0).wait()
    # Then
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    done_by = {int(str(pid)) for (pid,) in ledger.rows("SELECT DISTINCT split_part(worker, ':', 2) FROM replank.job")}
    assert done_by <= {child.pid for child in psutil.Process(worker.pid).children()}
    # And: SIGTERM ends it
    worker.terminate()
    worker.wait(deadline_s=20)
