"""Webhooks and monitoring, asked of a real HTTP server: what it is told, and which answers count."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook
from support.servers.receiving import SECRET

from gates.conftest import NOTHING_LOOKED_AT, planned
from producer.gates.alerts import check_monitoring
from producer.gates.checking_gates import check_gates
from replank.plan.operation.gates_plan import MonitoringGatePlan
from sql.ledger.runs.gates import Gate
from sql.ledger.upgrades.ledger import ensure_ledger
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

METRICS = """# HELP up whether it is up
# TYPE up gauge
up{job="shop", path="C:\\\\ \\" }"} 1
replank_rows_total 12 1700000000000
temperature NaN
"""

RULES = """
groups:
  - name: replank
    rules:
      - alert: ReplankNeedsOperator
        expr: max(replank_run_state{state="needs_operator )"}) > 0
        for: 1m
      - record: replank:rows:rate1m
        expr: rate(replank_rows_total[1m])
"""


@dataclass
class Site:
    """A server whose answers a test decides: path to status, headers and text. Asked requests are kept."""

    url: str = ""
    answers: dict[str, tuple[int, dict[str, str], str]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.asked.append((self.command, self.path, dict(self.headers.items()), body))
            status, headers, text = made.answers.get(self.path, (404, {}, "not here"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def ready(url: str, database: str) -> Gate:
    """The one gate of a plan that is attested by a webhook."""
    attestations = [{"name": "deployment_ready", "webhook": url, "says": "The new version may go out."}]
    file = planned(database, gates={"not_asked": NOTHING_LOOKED_AT, "attestations": attestations})
    with connect(database, name="test") as connection:
        ensure_ledger(connection)
        (found,) = check_gates(connection, file.plan)
    return found


def test_a_webhook_attests_once_and_its_call_is_signed(
    site: Site, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLANK_WEBHOOK_SECRET", SECRET)
    site.answers["/ready?token=t0p"] = (202, {}, "release 17 is staged")
    found = ready(f"{site.url}/ready?token=t0p", database)
    assert (found.state, found.by, found.reason) == ("passed", f"webhook {site.url}", "release 17 is staged")
    assert "t0p" not in str(found)

    ((method, _, headers, body),) = site.asked
    assert method == "POST"
    assert Webhook(SECRET).verify(body, headers)["gate"] == "deployment_ready"
    assert found.evidence["signed"]

    # It is not told again what it has answered already
    assert ready(f"{site.url}/ready?token=t0p", database).state == "passed"
    assert len(site.asked) == 1


def test_each_question_has_an_id_of_its_own(site: Site, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that drops twins would answer the second one unread."""
    monkeypatch.setenv("REPLANK_WEBHOOK_SECRET", SECRET)
    site.answers["/ready"] = (503, {}, "not yet")
    for _ in range(2):
        assert ready(f"{site.url}/ready", database).state == "open"
    sent = [{name.lower(): value for name, value in headers.items()} for _, _, headers, _ in site.asked]
    ids = [headers["webhook-id"] for headers in sent]
    assert len(set(ids)) == len(ids) == 2


def test_what_is_no_secret_signs_nothing_and_nothing_is_called(
    site: Site, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLANK_WEBHOOK_SECRET", "a password")
    site.answers["/ready"] = (200, {}, "yes")
    found = ready(f"{site.url}/ready", database)
    assert (found.state, site.asked) == ("open", [])
    assert "REPLANK_WEBHOOK_SECRET is not a webhook secret" in found.reason
    assert "a password" not in found.reason


def test_without_a_secret_a_call_is_not_signed(site: Site, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLANK_WEBHOOK_SECRET", raising=False)
    site.answers["/ready"] = (200, {}, "yes")
    found = ready(f"{site.url}/ready", database)
    assert (found.state, found.evidence["signed"]) == ("passed", False)
    assert not [name for name in site.asked[0][2] if name.lower().startswith("webhook-")]


def test_no_other_answer_attests(site: Site, database: str) -> None:
    site.answers |= {
        "/login": (200, {}, "please log in"),
        "/moved": (302, {"Location": f"{site.url}/login"}, ""),
        "/kept": (307, {"Location": f"{site.url}/login"}, ""),
        "/broken": (503, {}, "not now"),
    }
    for path, status in (("/moved", 302), ("/kept", 307), ("/broken", 503), ("/missing", 404)):
        found = ready(site.url + path, database)
        assert (found.state, found.evidence["status"]) == ("open", status)
    assert "/login" not in [path for _, path, _, _ in site.asked]
    gone = ready("http://127.0.0.1:9/ready", database)
    assert (gone.state, "answers nothing" in gone.reason) == ("open", True)


def monitored(site: Site, rules: Path, *, metrics: tuple[str, ...] = ()) -> Gate:
    return check_monitoring(MonitoringGatePlan(metrics_url=f"{site.url}/metrics", metrics=metrics, rules=rules))


def test_metrics_and_rules_that_load(site: Site, tmp_path: Path) -> None:
    rules = tmp_path / "alerts.yml"
    rules.write_text(RULES)
    site.answers["/metrics"] = (200, {}, METRICS)
    found = monitored(site, rules, metrics=("replank_rows_total",))
    assert (found.state, found.reason) == ("passed", "3 samples, 1 alerts")
    assert "has no replank_eta" in monitored(site, rules, metrics=("replank_eta",)).reason

    site.answers["/metrics"] = (200, {}, "<html>Log in</html>")
    assert "not in Prometheus' text format" in monitored(site, rules).reason
    site.answers["/metrics"] = (200, {}, "")
    assert "not in Prometheus' text format" in monitored(site, rules).reason
    site.answers["/metrics"] = (500, {}, "")
    assert "answers 500" in monitored(site, rules).reason


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ("groups: [", "not YAML"),
        ("[]", "it has no groups"),
        ("groups: []", "it has no groups"),
        ("groups: [{name: a, rules: []}]", "group a has no rules"),
        ("groups: [{rules: [{alert: x, expr: up}]}]", "group 1 has no name"),
        ("groups: [{name: a, rules: [{alert: x}]}]", "rule x of group a has no expr"),
        ("groups: [{name: a, rules: [{alert: x, expr: ' '}]}]", "rule x of group a has no expr"),
        ("groups: [{name: a, rules: [{alert: x, expr: 'sum(up'}]}]", "bracket"),
        ("groups: [{name: a, rules: [{alert: x, record: y, expr: up}]}]", "neither an alert nor a record"),
        ("groups: [{name: a, rules: [{record: y, expr: up}]}]", "it has no alert"),
    ],
)
def test_rules_that_would_never_alert(rules: str, why: str, site: Site, tmp_path: Path) -> None:
    file = tmp_path / "alerts.yml"
    file.write_text(rules)
    site.answers["/metrics"] = (200, {}, METRICS)
    found = monitored(site, file)
    assert (found.state, why in found.reason) == ("open", True), found.reason


def test_promtool_has_its_say_where_it_is(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = tmp_path / "alerts.yml"
    rules.write_text(RULES)
    site.answers["/metrics"] = (200, {}, METRICS)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "promtool").write_text('#!/bin/sh\necho "$3: could not parse expression" >&2\nexit 1\n')
    (programs / "promtool").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    assert "promtool reports" in monitored(site, rules).reason
