"""A fleet's page and screen: what comes from outside is text, and never more."""

from dataclasses import replace
from pathlib import Path

import pytest

from monitoring.fleet.fleet import FleetStatus, TargetStatus
from monitoring.fleet.fleet_page import fleet_page, write_page
from producer.fleet.display import draw_fleet

pytestmark = pytest.mark.unit

EVIL = '<script>alert("x")</script>'

STATUS = FleetStatus(
    targets=(
        TargetStatus(name="done one", host="db1:5432", state="done", share=1.0, verified=True),
        TargetStatus(name=EVIL, host=EVIL, state="needs_operator", problem=EVIL, share=0.5),
        TargetStatus(name="running one", host="db1:5432", state="running", share=0.25, eta_s=(30.0, 90.0)),
        TargetStatus(name="late one", host="db1:5432", state="waiting"),
    )
)


def test_the_page_escapes_what_it_shows_and_asks_for_nothing_from_outside() -> None:
    page = fleet_page(replace(STATUS, stopped=EVIL))
    assert EVIL not in page
    assert page.count("&lt;script&gt;") == 4
    assert "default-src 'none'" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "30 s to 1 min 30 s" in page
    assert 'http-equiv="refresh"' in page
    assert 'http-equiv="refresh"' not in fleet_page(STATUS, refresh_s=None)


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "fleet.html"
    write_page(path, "one")
    write_page(path, "two")
    assert path.read_text(encoding="utf-8") == "two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["fleet.html"]


def test_the_screen_shows_trouble_first_and_fits() -> None:
    lines = [line.plain for line in draw_fleet(STATUS, width=60, height=5)]
    assert len(lines) <= 5
    assert all(len(line) <= 60 for line in lines)
    assert "needs_operator" in lines[1]
    assert "running" in lines[2]
    few = [line.plain for line in draw_fleet(replace(STATUS, stopped="no other database begins"), width=60, height=4)]
    assert few[1] == "no other database begins"
    assert few[-1] == "… and 3 more databases"


def test_shares_and_counts() -> None:
    document = STATUS.to_json()
    assert document["share"] == round((1 + 0.5 + 0.25) / 4, 4)
    assert document["counts"] == {"done": 1, "needs_operator": 1, "running": 1, "waiting": 1}
    assert document["done"] is False
