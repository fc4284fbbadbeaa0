"""The very commands of docker-compose.yml, started as processes: they do a run together."""

import time
import urllib.request
from pathlib import Path

import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Process, Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import differences
from support.servers.compose_file import services

pytestmark = pytest.mark.faults

EXPORTER_PORT = "9878"


def secrets_of(site: Site) -> Path:
    """The URLs as Compose hands them in: files, and nothing in the environment."""
    folder = site.folder / "secrets"
    folder.mkdir(exist_ok=True)
    (folder / "replank_database_url").write_text(site.database_url)
    (folder / "replank_broker_url").write_text(site.broker_url + "\n")
    return folder


def start(site: Site, service: str, **replaced: str) -> Process:
    """A service's own command and environment; only places that are a container's are others here."""
    said = services()[service]
    places = {"/plan/plan.toml": str(site.plan), "0.0.0.0": "127.0.0.1", **replaced}
    variables = {name: places.get(value, value) for name, value in said.get("environment", {}).items()}
    unnamed = {"REPLANK_DATABASE_URL": "", "REPLANK_BROKER_URL": ""}
    return site.start(
        *[places.get(word, word) for word in said["command"]],
        **{**unnamed, "REPLANK_SECRETS_DIR": str(secrets_of(site)), **variables},
    )


def metrics() -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{EXPORTER_PORT}/metrics", timeout=9) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_the_services_do_a_run_together(site: Site, ledger: LedgerView) -> None:
    # Given: two workers, as `--scale worker=2` starts them, and the exporter
    beats = [site.folder / "beat-1", site.folder / "beat-2"]
    workers = [start(site, "worker", **{"/tmp/heartbeat": str(beat)}) for beat in beats]
    exporter = start(site, "exporter")

    # When: the coordinator is started
    coordinator = start(site, "coordinator")

    # Then: the run is done, and every row is right
    finished = coordinator.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    assert ledger.run_state() == "done"
    wait_for("heartbeats", lambda: all(beat.exists() and time.time() - beat.stat().st_mtime < 30 for beat in beats))
    wait_for("metrics of the run that is done", lambda: 'replank_run_state{state="done"} 1.0' in metrics())

    # When: they are stopped as `docker compose stop` does, then: they end by themselves, in time
    for process in (*workers, exporter):
        process.terminate()
    grace_s = float(services()["worker"]["stop_grace_period"].rstrip("s"))
    assert exporter.wait(deadline_s=10).exit_code == 0
    assert [worker.wait(deadline_s=grace_s).exit_code for worker in workers] == [0, 0]
