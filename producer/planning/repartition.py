"""A plan's partitions meet the live table: which values there are, and what the new partitions cannot keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast

from psycopg import errors

from producer.planning.partition_layout import Kind, laid_out, range_limits, sane_limits
from replank.errors import WrongUse
from replank.plan.tables.partition_plan import PartitionPlan
from replank.plan.tables.table_plan import TablePlan
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.catalogue.catalogue import ForeignKey
from sql.partitions.partition_values import Strays, count_strays, kind_of_type, lowest
from sql.session.connection import Connection

TIMES = ("date", "timestamp", "timestamptz")


def with_layout(
    connection: Connection,
    planned: TablePlan,
    spec: TableSpec,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> TableSpec:
    """The table with the partitions that the plan asks for, from its lowest value to so many ahead of now.

    Raises WrongUse if the column cannot be partitioned so, or there were too many partitions.
    """
    plan = planned.partition
    if plan is None:
        return spec
    if plan.by == "none":
        return replace(spec, layout=laid_out(plan, spec, "other", now=clock()))
    column = column_of(spec, plan)
    kind = kind_of(connection, column.next_type)
    refuse_unfit(f"{planned.full_name}.{column.name}", column.next_type, plan, kind)
    first = _lowest(connection, spec, plan, column, kind)
    return replace(spec, layout=laid_out(plan, spec, kind, lowest=first, now=clock()))


def column_of(spec: TableSpec, plan: PartitionPlan) -> ColumnSpec:
    """The partition column. Raises WrongUse if neither the table nor the plan has it."""
    found = next((column for column in spec.columns if column.name == plan.column), None)
    if found is None:
        raise WrongUse(f"{spec.full_name} has no column {plan.column}, by which the plan partitions it")
    return found


def kind_of(connection: Connection, spelled: str) -> Kind:
    """How values of a type are told from times. A type that is none is for the trial to find."""
    try:
        name = kind_of_type(connection, spelled)
    except errors.OperationalError:
        raise
    except errors.DatabaseError:
        return "other"
    return cast(Kind, name) if name in (*TIMES, "uuid") else "other"


def refuse_unfit(name: str, spelled: str, plan: PartitionPlan, kind: Kind) -> None:
    """Raises WrongUse where `every`, `uuidv7` and `timezone` do not go with the column's type."""
    if plan.uuidv7 and kind != "uuid":
        raise WrongUse(f"{name} will be {spelled}: `uuidv7` is for columns that are, or become, uuid")
    if plan.every is None:
        return
    if kind == "uuid" and not plan.uuidv7:
        raise WrongUse(f"{name} will be uuid: set `uuidv7 = true` if its values are version 7, which begin with a time")
    if kind not in (*TIMES, "uuid"):
        raise WrongUse(f"{name} will be {spelled}: `every` is for date, timestamp, timestamptz and uuidv7")
    if kind == "timestamptz" and plan.timezone is None:
        raise WrongUse(f"{name} is {spelled}: set `timezone`, the time zone in which days begin")


def _lowest(connection: Connection, spec: TableSpec, plan: PartitionPlan, column: ColumnSpec, kind: Kind) -> str | None:
    if plan.every is None:
        return None
    try:
        return lowest(connection, spec, column, between=sane_limits(plan, kind), version_7=plan.uuidv7)
    except errors.OperationalError:
        raise
    except errors.DatabaseError:
        # No right to read, or an expression of the plan's that fails: other findings say so, with more words.
        return None


def strays(connection: Connection, planned: TablePlan, spec: TableSpec) -> Strays | None:
    """Rows that are there and for which no partition is; None if that cannot be. Reads the table's column."""
    plan = planned.partition
    if plan is None or plan.by not in ("range", "list"):
        return None
    column = column_of(spec, plan)
    if plan.by == "list":
        listed = [value for values in plan.values.values() for value in values]
        return count_strays(connection, spec, column, limits=None, listed=listed)
    kind = kind_of(connection, column.next_type)
    first = _lowest(connection, spec, plan, column, kind)
    limits = range_limits(plan, kind, lowest=first, now=datetime.now(UTC))
    return count_strays(connection, spec, column, limits=limits, listed=())


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Foreign keys that lead to a key which is unique no longer where its table is partitioned otherwise."""

    spec: TableSpec
    key: ForeignKey


def lost_keys(specs: Iterable[TableSpec], keys: Iterable[ForeignKey]) -> list[Lost]:
    """PostgreSQL wants the partition column in every unique index: a key without it cannot be referenced."""
    partitioned = {spec.oid: spec for spec in specs if spec.layout is not None and spec.next_partitioned}
    return [
        Lost(spec=partitioned[key.ref_oid], key=key)
        for key in keys
        if key.ref_oid in partitioned and _column(partitioned[key.ref_oid]) not in key.ref_columns
    ]


def _column(spec: TableSpec) -> str:
    return "" if spec.layout is None else spec.layout.column
