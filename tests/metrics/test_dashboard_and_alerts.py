"""What dashboard and alert rules ask for exists in real scrapes, and the rules do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from support.runs.harness import Rebuild

from metrics.scraping import Scrape, exporter, scrape
from producer.gates.alerts import check_monitoring
from replank.plan.operation.gates_plan import MonitoringGatePlan
from replank.values.states import TableState

FOLDER = Path(__file__).parents[2] / "monitoring"
RULES = FOLDER / "alerts" / "replank.yml"
RULE_TESTS = Path(__file__).with_name("rule_tests.yml")
DASHBOARD = FOLDER / "dashboards" / "replank.json"

METRIC = re.compile(r"\breplank_[a-z_]+")
SELECTOR = re.compile(r"\b(replank_[a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r'([a-z_]+)\s*=~?\s*"([^"]*)"')
KINDS = re.compile(r'replank_events_total\{[^}]*kind=~"([a-z_|]+)"')
TARGET_LABELS = {"instance", "job"}
"""What Prometheus itself adds."""


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    document = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    yield from (target["expr"] for panel in document["panels"] for target in panel.get("targets", []))
    yield from (each["expr"] for each in document["annotations"]["list"])


@pytest.mark.unit
def test_every_kind_of_event_that_is_asked_for_is_written_somewhere() -> None:
    """A kind that has got another name would leave the dashboard empty, and no query would fail."""
    asked = {kind for said in expressions() for kinds in KINDS.findall(said) for kind in kinds.split("|")}
    assert len(asked) > 3
    written = {kind for kind in asked if any(f'"{kind}"' in source for source in sources())}
    assert asked - written == set()


def sources() -> Iterator[str]:
    for package in ("producer", "sql"):
        yield from (file.read_text(encoding="utf-8") for file in (FOLDER.parent / package).rglob("*.py"))


@pytest.mark.protocol
def test_every_metric_and_label_that_is_asked_for_exists(
    begin: Callable[[], Rebuild], database: str, app: psycopg.Connection
) -> None:
    """In scrapes of one run: copying, before the cutover, and done."""
    rebuild = begin()
    found: list[Scrape] = []
    with exporter(database) as address:
        rebuild.until(TableState.COPYING)
        app.execute("UPDATE replank.run SET created_at = now() - interval '1 minute'")
        rebuild.work()
        found.append(scrape(address))
        rebuild.until(TableState.READY)
        found.append(scrape(address))
        rebuild.finish()
        found.append(scrape(address))
    # What a run of seconds has no time for, and what one without a broker does not know.
    late = {"replank_eta_seconds", "replank_broker_answers"} - {name for one in found for name in one.names}
    pairs = {(name, label) for one in found for name, labels in one.samples for label, _ in labels}
    values = {(name, *pair) for one in found for name, labels in one.samples for pair in labels}
    asked = [*expressions()]
    assert len(asked) > 40
    for expression in asked:
        missing = set(METRIC.findall(expression)) - {name for one in found for name in one.names} - late
        assert not missing, expression
        for metric, selector in SELECTOR.findall(expression):
            for label, value in LABEL.findall(selector):
                if label in TARGET_LABELS or metric in late:
                    continue
                assert (metric, label) in pairs, expression
                if "|" not in value:
                    assert (metric, label, value) in values, expression


@pytest.mark.unit
def test_the_gate_for_monitoring_loads_the_rules() -> None:
    gate = check_monitoring(MonitoringGatePlan(rules=RULES))
    assert gate.evidence["alerts"] == len(rules()) >= 15
    assert "metrics_url" in gate.reason
    assert str(RULES) not in gate.reason


@pytest.mark.unit
def test_every_alert_says_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert len(rule["annotations"]["runbook"]) > 40, rule["alert"]


@pytest.mark.unit
def test_the_dashboard_is_whole() -> None:
    """Panels do not overlap, every one has words, and the data source is a variable."""
    document = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"], panel["title"]
            assert panel["datasource"]["uid"] == "${source}"
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    assert [each["name"] for each in document["templating"]["list"]] == ["source", "instance"]


@pytest.mark.slow
@pytest.mark.unit
def test_promtool_agrees(promtool: str) -> None:
    """Prometheus' own tool reads the rules, and fires them when and only when it should."""
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(RULE_TESTS)]):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """From PATH, or out of Debian's package, of which nothing is installed."""
    found = shutil.which("promtool")
    if found is not None:
        return found
    folder = tmp_path_factory.mktemp("prometheus")
    subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("prometheus_*.deb")
    subprocess.run(["dpkg", "-x", package.name, "."], cwd=folder, check=True)
    return str(folder / "usr" / "bin" / "promtool")
