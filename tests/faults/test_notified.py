"""A coordinator that is killed between an event and its delivery, by the real command line."""

import threading

import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for
from support.servers.receiving import SECRET, receiver

pytestmark = pytest.mark.faults


def test_what_a_killed_coordinator_did_not_tell_the_next_one_tells(site: Site, ledger: LedgerView) -> None:
    # Given: a run whose receiver takes the first message and never answers
    with site.plan.open("a") as plan:
        plan.write("[notifications]\n")
    shut = threading.Event()
    with receiver(held=shut) as telling:
        told = {"REPLANK_NOTIFY_URLS": telling.url, "REPLANK_NOTIFY_SECRET": SECRET}
        refused = site.call("run", str(site.plan))
        assert (refused.exit_code, "REPLANK_NOTIFY_URLS" in refused.stderr) == (2, True)
        killed = site.run("--hold-cutover", workers=2, **told)
        wait_for("the first message", lambda: len(telling.asked) == 1)

        # When: the run goes on all the same, its coordinator is killed, and the receiver answers again
        ledger.wait_for_states({"ready"}, deadline_s=90)
        assert ledger.number("SELECT count(*) FROM replank.delivery WHERE state = 'delivered'") == 0
        killed.kill()
        shut.set()
        assert site.call("cutover").exit_code == 0
        assert site.run(workers=1, **told).wait().exit_code == 0

        # Then: everything was told, what was told twice has the same id, and `notify` finds nothing left
        wait_for("the last message", lambda: "done" in telling.kinds())
        ids = [message for message, _ in telling.told()]
        kinds = dict(zip(ids, telling.kinds(), strict=True))
        assert sorted(kinds.values()) == ["cutover", "done", "run"]
        assert telling.kinds().count("run") == 2
        before = len(telling.asked)
        assert site.call("notify", "--once", **told).exit_code == 0
        assert len(telling.asked) == before
        assert telling.url not in str(ledger.rows("SELECT * FROM replank.delivery"))
