"""The verdict is earned: `status`, its JSON, the page and the exporter say the same while something is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Process, Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import create_small_shop, differences, write_plan

from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from monitoring.metrics.collector import read_metrics
from page.conftest import Serve
from page.serving import Served
from sql.session.connection import connect

WITHIN_S = 30.0


@pytest.fixture
def broker() -> Iterator[EmbeddedValkey]:
    """One of its own: it is killed."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def site(postgres: EmbeddedPostgres, broker: EmbeddedValkey, tmp_path: Path) -> Iterator[Site]:
    url = postgres.create_database("verdict")
    create_small_shop(url, orders=3000)
    made = Site(
        database_url=url,
        broker_url=broker.url(),
        plan=write_plan(tmp_path / "plan.toml", database="verdict"),
        folder=tmp_path,
        settings={"REPLANK_LOCK_TIMEOUT_MS": "60000", "REPLANK_RESEND_AFTER_S": "1"},
    )
    yield made
    made.end()
    postgres.drop_database("verdict")


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The same run through four windows."""

    site: Site
    served: Served

    def page(self) -> dict[str, Any]:
        found: dict[str, Any] = self.served.sections()
        return found

    def exported(self) -> dict[str, str]:
        with connect(self.site.database_url, name="exporter") as connection:
            families = {family.name: family for family in read_metrics(connection)}
        (sample,) = families["replank_verdict_info"].samples
        return dict(sample.labels)

    def become(self, kind: str, weight: str = "bad") -> dict[str, Any]:
        """Until the page's headline is this one; then all four say it. Returns the page's."""
        first = wait_for(
            f"the page to say {kind}",
            lambda: next((one for one in [(self.page().get("headlines") or [{}])[0]] if one.get("kind") == kind), None),
            deadline_s=WITHIN_S,
            explain=lambda: f"{self.page().get('headlines')}\n{LedgerView(url=self.site.database_url).explain()}",
        )
        said = self.site.call("status", "--json").document
        assert (said["headlines"][0]["kind"], said["headlines"][0]["weight"]) == (kind, weight)
        assert self.exported() == {"kind": kind, "weight": weight}
        assert first["words"] in self.site.call("status").stderr
        assert first["weight"] == weight
        return {"first": first, "status": said}


def kill(process: Process) -> None:
    """It and all its children, as a host that is switched off."""
    family = process.family()
    process.kill()
    for child in family:
        child.kill()


def test_running_is_said_only_of_what_runs(site: Site, broker: EmbeddedValkey, serve: Serve) -> None:
    ledger = LedgerView(url=site.database_url)
    looks = Looks(site=site, served=serve(site.database_url))

    # Given a coordinator and nobody else
    run = site.run("--hold-cutover", workers=0)
    alone = looks.become("no_worker")
    assert "replank worker" in alone["first"]["command"]
    assert alone["status"]["eta_s"] is None
    assert {queue["processes"] for queue in alone["status"]["seen"]["queues"]} == {0}

    # When a worker takes the copies only: nobody is on a queue that has jobs
    copier = site.worker("--concurrency", "1", "--queues", "replank.copy", "--name", "copier@here")
    deserted = looks.become("no_consumer")
    assert "replank.index" in deserted["first"]["words"]
    queues = {queue["name"]: queue["processes"] for queue in deserted["status"]["seen"]["queues"]}
    assert (queues["replank.copy"], queues["replank.index"]) == (1, 0)

    # When the others come: it waits for the operator's word, and says so
    other = site.worker("--concurrency", "1", "--queues", "replank.index,replank.verify", "--name", "other@here")
    looks.become("cutover_held", "look")

    # When the broker is gone: it is named
    broker.kill()
    silent = looks.become("broker")
    assert silent["status"]["seen"]["broker"]["answers"] is False
    assert silent["status"]["seen"]["broker"]["age_s"] < 15
    assert str(broker.url().rpartition("@")[0].rpartition(":")[2] or "no password") not in silent["first"]["why"]
    broker.resume()
    looks.become("cutover_held", "look")

    # When all workers are killed while a job is under way: it says so, and leaves no time that is left
    with locked(site.database_url, "replank_next", "orders"):
        with psycopg.connect(site.database_url) as connection:
            connection.execute("UPDATE orders SET note = 'changed' WHERE number = 1")
        wait_for("a drain under way", ledger.leases, explain=ledger.explain)
        kill(copier)
        kill(other)
    killed = looks.become("no_worker")
    assert killed["status"]["eta_s"] is None

    # When the coordinator is killed too
    kill(run)
    undriven = looks.become("no_coordinator")
    assert undriven["status"]["eta_s"] is None
    assert looks.page()["run"]["eta_s"] is None

    # Then all of it is made good by starting the same again
    again = site.run(workers=1)
    assert site.call("cutover").exit_code == 0
    assert again.wait().exit_code == 0
    looks.become("done", "good")
    assert differences(site.database_url) == []
