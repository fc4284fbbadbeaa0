"""Pools of running workers are changed while a run works: by `replank scale`, and by the window."""

from __future__ import annotations

from contextlib import suppress

import psutil
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Process, Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import differences

pytestmark = pytest.mark.faults

OTHER = "other@elsewhere"
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND starts_with(application_name, 'replank worker')"
)


def children(worker: Process | psutil.Process) -> int:
    """Processes of a pool, counted by the operating system."""
    found = 0
    for child in psutil.Process(worker.pid).children():
        # One that ends between the list and the question is no process of the pool any more.
        with suppress(psutil.NoSuchProcess):
            found += child.status() != psutil.STATUS_ZOMBIE
    return found


def sessions(ledger: LedgerView) -> int:
    """Connections that workers' children hold: each opens one when it begins."""
    return ledger.number(SESSIONS, ledger.url.rsplit("/", 1)[1])


def local_worker(run: Process) -> psutil.Process:
    return wait_for("the local worker", lambda: next(iter(psutil.Process(run.pid).children()), None))


def test_pools_grow_and_shrink_and_a_wish_outlives_its_worker(site: Site, ledger: LedgerView) -> None:
    # Given: a run with a local worker of two processes, and another worker with one
    run = site.run("--hold-cutover", workers=2)
    other = site.worker("--concurrency", "1", "--name", OTHER)
    local = local_worker(run)
    wait_for("three processes", lambda: sessions(ledger) == 3, explain=ledger.explain)

    # When: six processes are wanted in all
    grown = site.call("scale", "6", "--as", "anna")

    # Then: they are there, in proportion, and it is known who wanted_sizes for them
    assert grown.exit_code == 0, grown.stderr
    assert f"{OTHER} 1 → 2" in grown.stderr
    assert (children(local), children(other)) == (4, 2)
    wait_for("six sessions", lambda: sessions(ledger) == 6, explain=ledger.explain)
    assert ledger.rows("SELECT actor, message LIKE '%%→%%' FROM replank.event WHERE kind = 'scale'") == [("anna", True)]

    # When: the local worker is killed, then: the one that is started in its place has as many
    local.kill()
    wait_for("another local worker", lambda: local_worker(run).pid != local.pid)
    again = local_worker(run)
    wait_for("four processes again", lambda: children(again) == 4)

    # When: one worker alone is named, by several processes fewer; and then fewer than there are workers
    assert site.call("scale", "1", "--worker", OTHER).exit_code == 0
    assert children(other) == 1
    fewer = site.call("scale", "2")
    assert (fewer.exit_code, "not reached" in fewer.stderr) == (0, False), fewer.stderr
    assert (children(again), children(other)) == (1, 1)
    refused = site.call("scale", "1")
    assert (refused.exit_code, "2 workers answer" in refused.stderr) == (2, True)
    unknown = site.call("scale", "1", "--worker", "nobody@nowhere")
    assert (unknown.exit_code, OTHER in unknown.stderr) == (2, True)

    # Then: the run ends as if nothing had happened
    assert site.call("cutover").exit_code == 0
    assert run.wait().exit_code == 0
    assert differences(site.database_url) == []


def test_a_pool_follows_the_window_between_its_bounds(site: Site, ledger: LedgerView) -> None:
    # Given: a run whose tables stay ready, and a worker that follows the window
    run = site.run("--hold-cutover", workers=0)
    worker = site.worker("--autoscale", "1,3", "--name", OTHER)
    ledger.wait_for_states({"ready"}, deadline_s=90)
    wait_for("the pool to grow to its bound", lambda: children(worker) == 3, deadline_s=30)

    # When: the window closes, then: the least stays; when it opens again, the pool grows
    assert site.call("pause").exit_code == 0
    wait_for("the pool to shrink to its bound", lambda: children(worker) == 1, deadline_s=30)
    assert site.call("resume").exit_code == 0
    wait_for("the pool to grow again", lambda: children(worker) == 3, deadline_s=30)

    # Then: a number of one's own is refused with the reason, and the run ends
    refused = site.call("scale", "2", "--worker", OTHER)
    assert (refused.exit_code, "--autoscale" in refused.stderr) == (2, True)
    assert site.call("cutover").exit_code == 0
    assert run.wait().exit_code == 0
    assert differences(site.database_url) == []


def test_bounds_are_refused_where_they_are_none(site: Site) -> None:
    refused = site.call("worker", "--autoscale", "3,1")
    assert (refused.exit_code, "e.g. 2,8" in refused.stderr) == (2, True)
