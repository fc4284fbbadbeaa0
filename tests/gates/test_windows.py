"""When windows are open: at their edges, over midnight, joined, and where clocks are changed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from monitoring.status.gates import window_at
from replank.plan.operation.gates_plan import GatesPlan, WindowPlan, age_of
from replank.plan.operation.windows import Opening, next_opening
from replank.plan.plan import parse_plan

pytestmark = pytest.mark.unit

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def window(days: list[str], start: str, end: str, zone: str = "UTC") -> WindowPlan:
    said: dict[str, Any] = {"days": days, "start": start, "end": end, "time_zone": zone}
    return WindowPlan.model_validate(said)


def test_its_beginning_belongs_to_it_and_its_end_does_not() -> None:
    two_to_four = window(["mon"], "02:00", "04:00")
    opening = Opening(opens=MONDAY.replace(hour=2), closes=MONDAY.replace(hour=4))
    assert next_opening([two_to_four], MONDAY) == opening
    assert next_opening([two_to_four], opening.opens) == opening
    assert opening.holds(opening.opens)
    assert not opening.holds(opening.closes)
    following = next_opening([two_to_four], opening.closes)
    assert following is not None
    assert following.opens == opening.opens + timedelta(days=7)


def test_over_midnight_the_day_is_that_of_its_beginning() -> None:
    night = window(["sun"], "22:00", "05:00")
    found = next_opening([night], MONDAY.replace(hour=3))
    assert found == Opening(opens=MONDAY - timedelta(hours=2), closes=MONDAY.replace(hour=5))
    later = next_opening([night], MONDAY.replace(hour=5))
    assert later is not None
    assert later.opens == MONDAY + timedelta(days=6, hours=22)


def test_windows_that_touch_are_one() -> None:
    found = next_opening([window(["mon", "tue"], "00:00", "00:00"), window(["wed"], "00:00", "01:00")], MONDAY)
    assert found == Opening(opens=MONDAY, closes=MONDAY + timedelta(days=2, hours=1))


def test_a_clock_that_is_put_forward_leaves_nothing_of_the_window_it_skips() -> None:
    # On 2026-03-29 there is no time from two to three in Berlin.
    sunday = datetime(2026, 3, 28, 12, tzinfo=UTC)
    found = next_opening([window(["sun"], "01:30", "04:00", "Europe/Berlin")], sunday)
    assert found == Opening(
        opens=datetime(2026, 3, 29, 0, 30, tzinfo=UTC), closes=datetime(2026, 3, 29, 2, 0, tzinfo=UTC)
    )


def test_nothing_begins_that_would_end_behind_it() -> None:
    asked = GatesPlan(windows=(window(["mon"], "02:00", "04:00"),))
    late = MONDAY.replace(hour=3, minute=59, second=58)
    assert not window_at(asked, late).reason
    closed = window_at(asked, late, at_least=timedelta(seconds=3))
    assert "Mon 2026-11-30 02:00 UTC" in closed.reason
    # A limit that is longer than the window does not keep it closed.
    assert not window_at(asked, MONDAY.replace(hour=2), at_least=timedelta(hours=5)).reason


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"windows": [{"days": [], "start": "01:00", "end": "02:00"}]}, "at least 1"),
        ({"windows": [{"days": ["mon"], "start": "25:00", "end": "02:00"}]}, "start"),
        ({"windows": [{"days": ["mon"], "start": "01:00", "end": "02:00", "time_zone": "Mars"}]}, "not a time zone"),
        ({"attestations": [{"name": "backup"}]}, "cannot be attested"),
        ({"attestations": [{"name": "a"}, {"name": "a"}]}, "listed twice"),
        ({"not_asked": ["team_notified"]}, "not_asked"),
        ({"backup": {"max_age": "soon"}}, "max_age"),
    ],
)
def test_what_a_plan_may_not_say(said: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        GatesPlan.model_validate(said)


PLAN = """
version = 1
[database]
name = "shop"
[[tables]]
name = "orders"
columns = [{ name = "id", to = "uuid" }]
"""


def test_gates_are_no_part_of_what_the_plan_does_to_the_database() -> None:
    without = parse_plan(PLAN, source="plan.toml")
    gated = parse_plan(PLAN + "[gates]\n[gates.backup]\npath = 'backups'\n", source="plan.toml")
    assert without.digest() == gated.digest()
    assert without.gates is None
    assert gated.gates is not None
    assert gated.gates.names[-2:] == ("deployment_ready", "team_notified")
    assert gated.gates.seen_from(Path("/plans")).backup.path == Path("/plans/backups")
    assert age_of("2 days") == timedelta(days=2)
