"""The partitions of a next table: which there are, what they are called, where they end. All of it is arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Literal
from uuid import UUID

from psycopg.sql import SQL, Identifier
from psycopg.sql import Literal as SQLLiteral

from replank.errors import WrongUse
from replank.names import joined_name
from replank.plan.tables.partition_plan import Every, PartitionPlan
from replank.plan.tables.periods import FIRST, LAST, beginning, floor, name_of, shifted, time_of, uuid_from
from replank.values.table_spec import Layout, PartitionSpec, Relation

Kind = Literal["date", "timestamp", "timestamptz", "uuid", "other"]
"""How values of the partition column are told from times."""

MOST_PARTITIONS = 1_000
"""Planning, the locks of a query over all of them, and the swap itself grow with their number."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One partition: the end of its name, and its bound as SQL."""

    suffix: str
    bound: str


def laid_out(plan: PartitionPlan, table: Relation, kind: Kind, *, lowest: str | None = None, now: datetime) -> Layout:
    """How `table` is to be partitioned. `lowest` is the lowest live value as text, `now` has a time zone.

    Raises WrongUse if that were too many partitions, or a bound is no value.
    """
    if plan.by == "none":
        return Layout(partitioned_by="", column="", partitions=())
    parts = _parts(plan, kind, lowest, now)
    if len(parts) > MOST_PARTITIONS:
        raise WrongUse(
            f"{table.full_name}: more than {MOST_PARTITIONS} partitions (from {parts[0].suffix} on). Set a longer "
            "`every`, or explicit `bounds` that exclude the oldest rows."
        )
    if plan.keeps_rest:
        parts.append(Part(suffix="default", bound="DEFAULT"))
    by = SQL("{} ({})").format(SQL(plan.by.upper()), Identifier(plan.column or ""))
    return Layout(
        partitioned_by=by.as_string(None),
        column=plan.column or "",
        partitions=tuple(
            PartitionSpec(
                oid=table.oid,
                schema=table.schema,
                name=partition_name(table.name, part.suffix),
                parent=table.oid,
                bound=part.bound,
                partitioned_by="",
            )
            for part in parts
        ),
    )


def partition_name(table: str, suffix: str) -> str:
    """`orders_2025_01`"""
    return joined_name(table, ending=f"_{suffix}")


def _parts(plan: PartitionPlan, kind: Kind, lowest: str | None, now: datetime) -> list[Part]:
    match plan.by:
        case "hash":
            count = plan.count or 1
            return [Part(suffix=f"p{n}", bound=_hash_bound(count, n)) for n in range(count)]
        case "list":
            return [Part(suffix=name, bound=_list_bound(values)) for name, values in plan.values.items()]
    if plan.every is None:
        bounds = explicit_bounds(plan, kind)
        return [Part(suffix=f"p{n}", bound=range_bound(*pair)) for n, pair in enumerate(pairwise(bounds))]
    wanted = periods(plan, plan.every, kind, lowest=lowest, now=now)
    return [Part(suffix=name_of(first, plan.every), bound=period_bound(plan, kind, first)) for first in wanted]


def explicit_bounds(plan: PartitionPlan, kind: Kind) -> list[str]:
    """The plan's bounds as literals; times without a zone begin in the plan's."""
    if kind != "timestamptz":
        return list(plan.bounds)
    made = []
    for bound in plan.bounds:
        try:
            moment = datetime.fromisoformat(bound)
        except ValueError:
            raise WrongUse(f"{bound!r} is not a time; write bounds as 2024-01-01 or 2024-01-01T06:00:00Z") from None
        if moment.tzinfo is None:
            if plan.timezone is None:
                raise WrongUse(f"bound {bound!r} has no time zone: set `timezone`")
            moment = moment.replace(tzinfo=plan.zone)
        made.append(moment.isoformat(sep=" "))
    return made


def periods(plan: PartitionPlan, every: Every, kind: Kind, *, lowest: str | None, now: datetime) -> list[date]:
    """The first days of all periods from that of the lowest value to the one `ahead` of now, ascending.

    Later values lie outside. An empty table, or one whose rows all lie later, begins with the present period.
    """
    today = floor(now.astimezone(plan.zone).date(), every)
    last = shifted(today, every, plan.ahead)
    first = today if lowest is None else min(floor(day_of(plan, kind, lowest), every), today)
    found = [first]
    while found[-1] < last and len(found) <= MOST_PARTITIONS:
        found.append(shifted(found[-1], every, 1))
    return found


def day_of(plan: PartitionPlan, kind: Kind, value: str) -> date:
    """The day in the plan's time zone that a value of the partition column lies in."""
    match kind:
        case "date":
            return date.fromisoformat(value)
        case "timestamp":
            return datetime.fromisoformat(value).date()
        case "timestamptz":
            return datetime.fromisoformat(value).astimezone(plan.zone).date()
        case "uuid":
            return time_of(UUID(value)).astimezone(plan.zone).date()
    raise WrongUse(f"column {plan.column} has no times: `every` is for date, timestamp, timestamptz and uuidv7")


def edge(plan: PartitionPlan, kind: Kind, day: date) -> str:
    """The beginning of a day as a value of the partition column."""
    match kind:
        case "date":
            return day.isoformat()
        case "timestamp":
            return f"{day.isoformat()} 00:00:00"
        case "timestamptz":
            return beginning(day, plan.zone).isoformat(sep=" ")
        case "uuid":
            return str(uuid_from(beginning(day, plan.zone)))
    raise WrongUse(f"column {plan.column} has no times: `every` is for date, timestamp, timestamptz and uuidv7")


def sane_limits(plan: PartitionPlan, kind: Kind) -> tuple[str, str]:
    """Values before and from these are not looked at for the lowest: infinity, and years that no calendar names."""
    return edge(plan, kind, FIRST), edge(plan, kind, LAST)


def period_limits(plan: PartitionPlan, kind: Kind, first: date) -> tuple[str, str]:
    """Half-open: from the beginning of a period to that of the next."""
    assert plan.every is not None
    return edge(plan, kind, first), edge(plan, kind, shifted(first, plan.every, 1))


def period_bound(plan: PartitionPlan, kind: Kind, first: date) -> str:
    return range_bound(*period_limits(plan, kind, first))


def range_bound(lower: str, upper: str) -> str:
    """`FOR VALUES FROM ('2025-01-01') TO ('2025-02-01')`"""
    return SQL("FOR VALUES FROM ({}) TO ({})").format(lower, upper).as_string(None)


def _hash_bound(modulus: int, remainder: int) -> str:
    bound = SQL("FOR VALUES WITH (MODULUS {}, REMAINDER {})")
    return bound.format(SQL(str(modulus)), SQL(str(remainder))).as_string(None)


def _list_bound(values: Sequence[str]) -> str:
    listed = SQL(", ").join(SQLLiteral(value) for value in values)
    return SQL("FOR VALUES IN ({})").format(listed).as_string(None)


def range_limits(plan: PartitionPlan, kind: Kind, *, lowest: str | None, now: datetime) -> tuple[str, str]:
    """Where the first range partition begins and the last one ends."""
    if plan.every is None:
        bounds = explicit_bounds(plan, kind)
        return bounds[0], bounds[-1]
    wanted = periods(plan, plan.every, kind, lowest=lowest, now=now)
    return edge(plan, kind, wanted[0]), edge(plan, kind, shifted(wanted[-1], plan.every, 1))
