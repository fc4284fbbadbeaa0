"""What the broker loses is sent again, and status, page and metrics say so, with the likely reason."""

import pytest
import redis
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import differences

from demo.embedded import EmbeddedValkey
from faults.broker_view import flush
from monitoring.metrics.collector import read_metrics
from monitoring.page.sections import SectionReader
from sql.session.connection import connect

pytestmark = pytest.mark.faults

_RESENT = "SELECT coalesce(sum(jobs), 0) FROM replank.resend WHERE cause = %s"


def evict_everything(broker: EmbeddedValkey) -> None:
    """As a full broker does under `allkeys-…`, at once and for all keys."""
    with redis.Redis.from_url(broker.url()) as client:
        client.config_set("maxmemory-policy", "allkeys-random")
        client.config_set("maxmemory", 1)
        wait_for("all keys to be evicted", lambda: client.dbsize() == 0)
        client.config_set("maxmemory", 0)


def test_lost_and_evicted_messages_are_told_apart_and_shown(
    site: Site, broker: EmbeddedValkey, ledger: LedgerView
) -> None:
    # Given: a worker that is busy, and jobs whose messages wait at the broker
    run = site.run(workers=0)
    ledger.wait_for_states({"copying"})
    with locked(site.database_url, "replank_next", "orders"):
        site.worker("--concurrency", "1")
        wait_for("jobs sent again to a busy worker", lambda: ledger.number(_RESENT, "busy"), explain=ledger.explain)
        # When: the broker is emptied, then: what was in it is sent again, and it is known why
        flush(broker)
        wait_for("jobs sent again", lambda: ledger.number(_RESENT, "lost"), explain=ledger.explain)
        # When: the broker evicts what is in it, then: that is told apart
        evict_everything(broker)
        wait_for("jobs sent again", lambda: ledger.number(_RESENT, "evicted"), explain=ledger.explain)

        # Then: status says so to people and programs, and so do the page and the metrics
        shown = site.call("status")
        assert "sent again in the last 5 minutes" in shown.stderr + shown.stdout
        assert "maxmemory-policy noeviction" in shown.stderr + shown.stdout
        resent = site.call("status", "--json").document["resent"]
        assert {cause["cause"] for cause in resent["causes"]} >= {"lost", "evicted"}
        assert resent["jobs"] == sum(cause["jobs"] for cause in resent["causes"]) >= 2
        with connect(site.database_url, name="test") as connection:
            headlines = SectionReader().whole(connection)["headlines"]
        assert any("maxmemory-policy noeviction" in headline["why"] for headline in headlines), headlines

    with connect(site.database_url, name="test") as connection:
        samples = [sample for metric in read_metrics(connection) for sample in metric.samples]
    counted = {s.labels["cause"]: s.value for s in samples if s.name == "replank_jobs_resent_total"}
    assert min(counted["lost"], counted["evicted"]) >= 1

    # Then: nothing is lost
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
