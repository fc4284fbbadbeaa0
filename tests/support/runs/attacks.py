"""What was done against a run on purpose, and what became of it: `docs/reliability.md` is written from this.

A test marked `@pytest.mark.attack(point, title)` takes the fixture `attack` and records what it saw. `make attacks`
runs all of them and writes the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

PROPERTY = "attack"

HEAD = """# Reliability: what was tried against a run

Written by `make attacks`, from what the tests saw; nobody edits it. Each line is a test that attacks a run on a real
PostgreSQL, most of them beside writers that keep a journal of every write that was acknowledged to them. *Lost* counts
acknowledged writes that were not found again, on an oracle that shares no code with Replank.

| attack | tried | acknowledged writes | lost | what happened | repeat it |
|---|---|---|---|---|---|
"""


@dataclass(kw_only=True)
class Attack:
    """One test's record. `acknowledged` and `lost` are None where no writers took part."""

    point: str
    title: str
    tried: int = 0
    acknowledged: int | None = None
    lost: int | None = None
    outcomes: list[str] = field(default_factory=list)

    def record(self, outcome: str, *, tried: int = 1, acknowledged: int | None = None, lost: int | None = None) -> None:
        """Call it once for each way of trying. `outcome` says in a few words what the run did."""
        self.tried += tried
        if acknowledged is not None:
            self.acknowledged = (self.acknowledged or 0) + acknowledged
        if lost is not None:
            self.lost = (self.lost or 0) + lost
        if outcome not in self.outcomes:
            self.outcomes.append(outcome)


@pytest.fixture
def attack(request: pytest.FixtureRequest) -> Iterator[Attack]:
    """Where a test marked `attack` records what it tried. One that records nothing fails."""
    marker = request.node.get_closest_marker("attack")
    assert marker is not None, "the fixture `attack` is for tests marked `@pytest.mark.attack(point, title)`"
    made = Attack(point=marker.args[0], title=marker.args[1])
    yield made
    assert made.tried, "the test recorded no attack"
    request.node.user_properties.append((PROPERTY, json.dumps(asdict(made))))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reliability", help="write what the attacks of this session found to this file")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--reliability")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(ReliabilityPage(Path(path)))


class ReliabilityPage:
    """Collects the records of a whole session, over all processes of it, and writes the page."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, Attack] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "teardown":
            return
        for name, document in report.user_properties:
            if name == PROPERTY:
                self.found[report.nodeid] = Attack(**json.loads(str(document)))

    def pytest_sessionfinish(self) -> None:
        self.path.write_text(page(self.found), encoding="utf-8")


def page(found: dict[str, Attack]) -> str:
    """The page's text: a line for each title, in the order of points and titles."""
    merged: dict[tuple[str, str], Attack] = {}
    where: dict[tuple[str, str], set[str]] = {}
    for test, one in found.items():
        key = (one.point, one.title)
        total = merged.setdefault(key, Attack(point=one.point, title=one.title))
        for outcome in one.outcomes:
            total.record(outcome, tried=0)
        total.record(one.outcomes[0], tried=one.tried, acknowledged=one.acknowledged, lost=one.lost)
        where.setdefault(key, set()).add(test.split("[")[0])
    lines = [_line(merged[key], sorted(where[key])) for key in sorted(merged)]
    return HEAD + "".join(f"{line}\n" for line in lines)


def _line(one: Attack, tests: list[str]) -> str:
    def figure(value: int | None) -> str:
        return "" if value is None else f"{value:,}"

    cells = [
        one.title,
        str(one.tried),
        figure(one.acknowledged),
        figure(one.lost),
        "; ".join(one.outcomes),
        "<br>".join(f"`pytest {test}`" for test in tests),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
