"""Which partitions a table gets: arithmetic of calendars, time zones and names."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from producer.planning.partition_layout import Kind, laid_out, partition_name, range_limits
from replank.errors import WrongUse
from replank.plan.plan import parse_plan
from replank.plan.tables.partition_plan import Every, PartitionPlan
from replank.plan.tables.periods import before, beginning, floor, name_of, shifted, time_of, uuid_from
from replank.values.table_spec import Layout, Relation

pytestmark = pytest.mark.unit

TABLE = Relation(oid=7, schema="shop", name="orders")
NOW = datetime(2025, 3, 15, 12, tzinfo=UTC)


def _plan(**said: Any) -> PartitionPlan:
    return PartitionPlan.model_validate({"column": "at", **said})


def _bounds(layout: Layout) -> dict[str, str]:
    return {p.name: p.bound.removeprefix("FOR VALUES ").replace("'", "") for p in layout.partitions}


def _ranges(every: Every, lowest: str | None, *, kind: Kind = "timestamptz", zone: str = "UTC", **said: Any) -> Any:
    plan = _plan(by="range", every=every, timezone=zone, **said)
    return _bounds(laid_out(plan, TABLE, kind, lowest=lowest, now=NOW))


def test_months_from_the_lowest_value_to_so_many_ahead() -> None:
    found = _ranges("month", "2024-12-31 23:30:00+00", ahead=1)
    assert found == {
        "orders_2024_12": "FROM (2024-12-01 00:00:00+00:00) TO (2025-01-01 00:00:00+00:00)",
        "orders_2025_01": "FROM (2025-01-01 00:00:00+00:00) TO (2025-02-01 00:00:00+00:00)",
        "orders_2025_02": "FROM (2025-02-01 00:00:00+00:00) TO (2025-03-01 00:00:00+00:00)",
        "orders_2025_03": "FROM (2025-03-01 00:00:00+00:00) TO (2025-04-01 00:00:00+00:00)",
        "orders_2025_04": "FROM (2025-04-01 00:00:00+00:00) TO (2025-05-01 00:00:00+00:00)",
        "orders_default": "DEFAULT",
    }


def test_the_same_instant_is_another_month_elsewhere() -> None:
    found = _ranges("month", "2024-12-31 23:30:00+00", zone="Europe/Berlin", ahead=1)
    assert "orders_2024_12" not in found
    assert found["orders_2025_01"] == "FROM (2024-12-31 23:00:00+00:00) TO (2025-01-31 23:00:00+00:00)"
    # The clock goes forward on the 30th of March.
    assert found["orders_2025_03"] == "FROM (2025-02-28 23:00:00+00:00) TO (2025-03-31 22:00:00+00:00)"


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2025, 3, 30), 23),
        ("Europe/Berlin", date(2025, 10, 26), 25),
        ("America/New_York", date(2025, 3, 9), 23),
        ("America/New_York", date(2025, 11, 2), 25),
        ("America/New_York", date(2025, 7, 1), 24),
        ("America/Havana", date(2025, 3, 9), 23),  # at midnight the clock goes to one
        ("America/Havana", date(2025, 11, 2), 25),  # at one it goes back: midnight is there twice
    ],
)
def test_days_are_as_long_as_they_are_there(zone: str, day: date, hours: int) -> None:
    here = ZoneInfo(zone)
    length = beginning(day + timedelta(days=1), here) - beginning(day, here)
    assert length == timedelta(hours=hours)
    assert beginning(day, here).astimezone(here).date() == day
    assert (beginning(day, here) - timedelta(microseconds=1)).astimezone(here).date() == day - timedelta(days=1)


def test_days_over_a_change_of_the_clock() -> None:
    found = _ranges("day", "2025-03-08 12:00:00+00", zone="America/New_York", ahead=0)
    assert found["orders_2025_03_09"] == "FROM (2025-03-09 05:00:00+00:00) TO (2025-03-10 04:00:00+00:00)"
    assert len(found) == 9


def test_weeks_begin_on_monday_and_have_the_year_of_their_thursday() -> None:
    found = _ranges("week", "2024-12-30", kind="date", ahead=0)
    assert found["orders_2025_w01"] == "FROM (2024-12-30) TO (2025-01-06)"
    assert list(found)[-2] == "orders_2025_w11"
    assert name_of(floor(date(2021, 1, 3), "week"), "week") == "2020_w53"


def test_years_and_leap_years() -> None:
    found = _ranges("year", "2023-05-05 00:00:00", kind="timestamp", ahead=1)
    assert found["orders_2024"] == "FROM (2024-01-01 00:00:00) TO (2025-01-01 00:00:00)"
    days = _ranges("day", "2024-02-28", kind="date", ahead=0)
    assert days["orders_2024_02_29"] == "FROM (2024-02-29) TO (2024-03-01)"
    assert "orders_2025_02_29" not in days
    assert before(date(2024, 2, 29), "year", 1) == date(2023, 2, 28)
    assert before(date(2025, 3, 31), "month", 1) == date(2025, 2, 28)
    assert before(date(2025, 1, 15), "month", 24) == date(2023, 1, 15)


def test_uuids_are_bounded_by_the_time_in_them() -> None:
    lowest = str(uuid_from(datetime(2025, 2, 10, tzinfo=UTC)))
    found = _ranges("month", lowest, kind="uuid", zone="Europe/Berlin", uuidv7=True, ahead=0, outside="refuse")
    assert list(found) == ["orders_2025_02", "orders_2025_03"]
    lower, upper = (uuid.UUID(part.strip("()")) for part in found["orders_2025_02"].split(" ")[1::2])
    assert time_of(lower) == datetime(2025, 1, 31, 23, tzinfo=UTC)
    assert time_of(upper) == datetime(2025, 2, 28, 23, tzinfo=UTC)
    assert str(lower).endswith("-0000-0000-000000000000")
    first = uuid.UUID(int=lower.int | 7 << 76 | 2 << 62)
    assert first.version == 7
    assert lower < first < upper
    assert uuid_from(datetime(1960, 1, 1, tzinfo=UTC)).int == 0


@pytest.mark.parametrize("lowest", [None, "2031-01-01 00:00:00+00"])
def test_without_old_rows_the_first_partition_is_the_present_one(lowest: str | None) -> None:
    assert list(_ranges("month", lowest, ahead=2, outside="refuse")) == [
        "orders_2025_03",
        "orders_2025_04",
        "orders_2025_05",
    ]


def test_one_value_of_today_is_one_partition() -> None:
    assert list(_ranges("day", "2025-03-15 23:59:59+00", ahead=0, outside="refuse")) == ["orders_2025_03_15"]


def test_explicit_bounds_lie_between_neighbours() -> None:
    plan = _plan(by="range", bounds=["2024-01-01", date(2024, 7, 1), "2025-01-01T00:00:00Z"], timezone="Europe/Berlin")
    assert _bounds(laid_out(plan, TABLE, "timestamptz", now=NOW)) == {
        "orders_p0": "FROM (2024-01-01 00:00:00+01:00) TO (2024-07-01 00:00:00+02:00)",
        "orders_p1": "FROM (2024-07-01 00:00:00+02:00) TO (2025-01-01 00:00:00+00:00)",
        "orders_default": "DEFAULT",
    }
    numbers = _plan(by="range", bounds=[0, 1000, 2000], outside="refuse")
    assert list(_bounds(laid_out(numbers, TABLE, "other", now=NOW)).values()) == [
        "FROM (0) TO (1000)",
        "FROM (1000) TO (2000)",
    ]
    with pytest.raises(WrongUse, match="set `timezone`"):
        laid_out(_plan(by="range", bounds=["2024-01-01", "2025-01-01"]), TABLE, "timestamptz", now=NOW)
    with pytest.raises(WrongUse, match="is not a time"):
        laid_out(_plan(by="range", bounds=["a", "b"], timezone="UTC"), TABLE, "timestamptz", now=NOW)


def test_list_hash_and_none() -> None:
    listed = laid_out(_plan(by="list", values={"eu": ["de", "it's"], "one": [1]}), TABLE, "other", now=NOW)
    assert [(p.name, p.bound) for p in listed.partitions] == [
        ("orders_eu", "FOR VALUES IN ('de', 'it''s')"),
        ("orders_one", "FOR VALUES IN ('1')"),
        ("orders_default", "DEFAULT"),
    ]
    hashed = laid_out(_plan(by="hash", count=2, column='Odd "id"'), TABLE, "uuid", now=NOW)
    assert hashed.partitioned_by == 'HASH ("Odd ""id""")'
    assert _bounds(hashed) == {
        "orders_p0": "WITH (MODULUS 2, REMAINDER 0)",
        "orders_p1": "WITH (MODULUS 2, REMAINDER 1)",
    }
    plain = laid_out(PartitionPlan(by="none"), TABLE, "other", now=NOW)
    assert plain == Layout(partitioned_by="", column="", partitions=())


def test_names_are_cut_to_63_bytes() -> None:
    names = [partition_name("ü" * 31 + digit, "2025_01") for digit in "12"]
    assert all(len(name.encode()) == 63 and name.endswith("_2025_01") for name in names)
    assert len(set(names)) == 2
    assert partition_name("t" * 55, "default") == "t" * 55 + "_default"


def test_too_many_partitions_are_refused() -> None:
    with pytest.raises(WrongUse, match="more than 1000 partitions"):
        _ranges("day", "0001-01-03 00:00:00+00")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"by": "range"}, "either every or bounds"),
        ({"by": "range", "every": "month", "bounds": [1, 2]}, "either every or bounds"),
        ({"by": "range", "bounds": [1]}, "at least two"),
        ({"by": "range", "bounds": [1, 1]}, "one bound twice"),
        ({"by": "range", "every": "day", "timezone": "Berlin"}, "not a time zone"),
        ({"by": "range", "every": "day", "uuidv7": True}, "timezone is missing"),
        ({"by": "range", "every": "day", "retention": "2 fortnights", "expired": "drop"}, "24 months"),
        ({"by": "range", "every": "day", "retention": "2 days"}, "set both retention and expired"),
        ({"by": "hash"}, "needs count"),
        ({"by": "hash", "count": 2, "every": "day"}, "every cannot be combined"),
        ({"by": "list", "values": {}}, "needs values"),
        ({"by": "list", "values": {"a": ["x"], "b": ["x"]}}, "in only one partition: x"),
        ({"by": "list", "values": {"default": ["x"]}}, "default"),
        ({"by": "list", "values": {"a" * 50: ["x"]}}, "too long"),
        ({"by": "none", "column": "at"}, "column cannot be combined"),
        ({"by": "hash", "count": 2, "column": None}, "needs a column"),
    ],
)
def test_what_cannot_be_meant_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        _plan(**({"column": "at"} if said["by"] not in ("none",) else {"column": None}) | said)


def test_a_plan_is_the_same_after_the_ledger() -> None:
    plan = _plan(by="range", every="month", timezone="Europe/Berlin", retention="24 months", expired="detach")
    assert PartitionPlan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.kept == (24, "month")


@settings(deadline=None)
@given(
    lowest=st.datetimes(datetime(1990, 1, 1), datetime(2025, 3, 15), timezones=st.just(UTC)),
    every=st.sampled_from(["week", "month", "year"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"]),
)
def test_periods_follow_each_other_without_gaps(lowest: datetime, every: Every, zone: str) -> None:
    plan = _plan(by="range", every=every, timezone=zone, outside="refuse")
    try:
        layout = laid_out(plan, TABLE, "timestamptz", lowest=lowest.isoformat(sep=" "), now=NOW)
    except WrongUse:
        assert every == "week"
        return
    edges = [b.replace("FROM (", "").replace(")", "").split(" TO (") for b in _bounds(layout).values()]
    assert all(a[1] == b[0] for a, b in pairwise(edges))
    assert datetime.fromisoformat(edges[0][0]) <= lowest < datetime.fromisoformat(edges[0][1])
    assert datetime.fromisoformat(edges[-1][1]) > NOW
    assert len({p.name for p in layout.partitions}) == len(layout.partitions)
    assert range_limits(plan, "timestamptz", lowest=lowest.isoformat(sep=" "), now=NOW) == (edges[0][0], edges[-1][1])
    assert shifted(floor(lowest.date(), every), every, 1) > lowest.date()


def test_a_mistake_in_the_plan_has_its_line() -> None:
    text = 'version = 1\n[database]\nname = "x"\n[[tables]]\nname = "t"\n[tables.partition]\nby = "hash"\n{}\n'
    with pytest.raises(WrongUse, match=r"plan\.toml:6: .*needs count"):
        parse_plan(text.format('column = "a"'), source="plan.toml")
    with pytest.raises(WrongUse, match=r"plan\.toml:8: .*unknown key"):
        parse_plan(text.format('colunm = "a"'), source="plan.toml")
    plan = parse_plan(text.format('column = "a"\ncount = 4'), source="plan.toml")
    assert plan.tables[0].partition == PartitionPlan(by="hash", column="a", count=4)
