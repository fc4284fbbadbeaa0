"""What a run says while nothing moves: once each time that changes, with the command that helps."""

import time

import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Process, Site
from support.runs.waiting import wait_for

pytestmark = pytest.mark.cli

NO_WORKER = "no worker is connected"


def _said(run: Process, words: str) -> None:
    wait_for(f"{words!r} to be said", lambda: words in run.stderr, deadline_s=30, explain=lambda: run.stderr[-3000:])


def test_a_run_without_workers_says_so_and_how_to_start_one(site: Site, ledger: LedgerView) -> None:
    # Given nobody who works
    run = site.run("--hold-cutover", workers=0)
    _said(run, NO_WORKER)
    line = next(line for line in run.stderr.splitlines() if NO_WORKER in line)
    assert "2 jobs wait" in line
    assert "`replank worker`" in line
    # It is an event too, so that others see it, and no nag
    time.sleep(8.0)
    assert run.stderr.count(NO_WORKER) == 1

    # When one comes that leaves a queue out
    site.worker("--concurrency=1", "--queues=replank.copy")
    _said(run, "no worker consumes from queue replank.index")
    assert "`replank worker --queues replank.index`" in run.stderr
    assert "a worker is connected again" in run.stderr
    assert "no worker consumes from queue replank.verify" not in run.stderr

    # When one comes for the rest, everything goes on to where an operator holds it
    site.worker("--concurrency=1")
    ledger.wait_for_states({"ready"})
    _said(run, "a worker consumes from queue replank.index again")
    _said(run, "`replank cutover`")
    time.sleep(2.0)
    assert run.stderr.count("the cutover is held") == 1

    # A pause, its end, and the cutover
    assert site.call("pause", "--reason", "lunch").exit_code == 0
    _said(run, "lunch")
    _said(run, "`replank resume`")
    assert site.call("resume").exit_code == 0
    _said(run, "no pause is in force any more")
    assert site.call("cutover").exit_code == 0
    ended = run.wait()
    assert ended.exit_code == 0, ended.stderr
    assert ended.stderr.count(NO_WORKER) == 1
    assert ended.document["state"] == "done"
