"""Days, weeks, months and years of a time zone, and the uuids that begin with a time.

A period begins at the first instant of its first day there: where a clock was put forward at midnight the
day begins at one, where it was put back the first midnight counts.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from replank.plan.tables.partition_plan import Every

FIRST, LAST = date(1, 1, 3), date(9998, 12, 31)
"""Times outside are taken to lie outside of every partition: Python cannot represent them, and no plan means them."""


def floor(day: date, every: Every) -> date:
    """The first day of the period that `day` lies in; weeks begin on Monday."""
    match every:
        case "day":
            return day
        case "week":
            return max(day - timedelta(days=day.weekday()), date.min)
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)


def shifted(first: date, every: Every, count: int) -> date:
    """The first day of the period `count` periods after the one that begins at `first`, or before it."""
    match every:
        case "day":
            return first + timedelta(days=count)
        case "week":
            return first + timedelta(weeks=count)
        case "month":
            months = first.year * 12 + first.month - 1 + count
            return date(months // 12, months % 12 + 1, 1)
        case "year":
            return date(first.year + count, 1, 1)


def before(day: date, unit: Every, count: int) -> date:
    """`count` units before a day; where the month is too short, its last day."""
    if unit in ("day", "week"):
        return shifted(day, unit, -count)
    first = shifted(day.replace(day=1), "month", -count * (12 if unit == "year" else 1))
    return first.replace(day=min(day.day, monthrange(first.year, first.month)[1]))


def name_of(first: date, every: Every) -> str:
    """`2025_01_31`, `2025_w03`, `2025_01`, `2025`. A week has the year of its Thursday (ISO 8601)."""
    match every:
        case "day":
            return f"{first:%Y_%m_%d}"
        case "week":
            year, week, _ = first.isocalendar()
            return f"{year}_w{week:02}"
        case "month":
            return f"{first:%Y_%m}"
        case "year":
            return f"{first:%Y}"


def beginning(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day in a time zone, in UTC."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def uuid_from(moment: datetime) -> UUID:
    """The lowest uuid whose first 48 bits are this time in milliseconds (RFC 9562, version 7)."""
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)


def time_of(value: UUID) -> datetime:
    """The time in a version 7 uuid, in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value.int >> 80)
