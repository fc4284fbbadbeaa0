"""When the windows of a plan are open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from replank.plan.operation.gates_plan import WindowPlan

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

AHEAD_DAYS = 9
"""Windows come again every week, so the next one lies within these."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """From `opens` on and before `closes`, both in UTC. Windows that touch each other are one opening."""

    opens: datetime
    closes: datetime

    def holds(self, moment: datetime) -> bool:
        return self.opens <= moment < self.closes


def next_opening(windows: Sequence[WindowPlan], moment: datetime) -> Opening | None:
    """The opening that `moment` lies in, or else the next one; None where there is no window."""
    found = sorted(
        (each for window in windows for each in _openings(window, moment)), key=lambda each: (each.opens, each.closes)
    )
    joined: list[Opening] = []
    for each in found:
        if joined and each.opens <= joined[-1].closes:
            joined[-1] = Opening(opens=joined[-1].opens, closes=max(joined[-1].closes, each.closes))
        else:
            joined.append(each)
    return next((each for each in joined if each.closes > moment), None)


def _openings(window: WindowPlan, moment: datetime) -> Iterator[Opening]:
    """Those that may be open at `moment` or come in the week after it."""
    zone = ZoneInfo(window.time_zone)
    today = moment.astimezone(zone).date()
    for number in range(-AHEAD_DAYS, AHEAD_DAYS):
        day = today + timedelta(days=number)
        if DAYS[day.weekday()] in window.days:
            last = day if window.end > window.start else day + timedelta(days=1)
            opens, closes = _instant(day, window.start, zone), _instant(last, window.end, zone)
            # Where a clock was put forward over all of it, there is nothing to open.
            if opens < closes:
                yield Opening(opens=opens, closes=closes)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """A time of the day as an instant; one that comes twice means the first."""
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)
