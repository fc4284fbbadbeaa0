"""What a planned table becomes: its spec, column by column, and how its rows are cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from psycopg.sql import SQL, Identifier

from producer.planning.rebuild_or_backfill import choose_method
from producer.planning.repartition import with_layout
from producer.steps.enum_types import EnumType
from replank.errors import WrongUse
from replank.plan.tables.table_plan import AddedColumnPlan, ColumnPlan, FilledColumnPlan, TablePlan
from replank.values.chunk import Axis
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.catalogue import catalogue
from sql.catalogue.catalogue import LiveColumn, LiveTable
from sql.session.connection import Connection
from sql.values.conversion import type_name

CORRELATED_FROM = 0.5
"""From this correlation on, a key range is also a range of the heap (prototype: 5 times slower below)."""


def table_spec(
    connection: Connection,
    planned: TablePlan,
    live: LiveTable,
    *,
    shape: str,
    run_id: int,
    table_no: int,
    enums: Mapping[str, EnumType] | None = None,
    plain_patterns: bool = False,
) -> TableSpec:
    """What the table becomes; `shape` is its fingerprint. Raises WrongUse if it has no key that capture could log."""
    if not live.key and live.unusable_keys:
        raise WrongUse(
            f"{live.full_name}: unique index {', '.join(live.unusable_keys)} uses other operators or another "
            "collation than its columns' defaults, so changed rows cannot be identified. Add a primary key, or "
            "remove the table from the plan."
        )
    if not live.key:
        raise WrongUse(
            f"{live.full_name} has no primary key and no unique index on NOT NULL columns, so changed rows cannot be "
            "identified. Add a key, or remove the table from the plan."
        )
    changes: dict[str, ColumnPlan | FilledColumnPlan] = {column.name: column for column in planned.columns}
    changes |= {filled.name: filled for filled in planned.fill}
    joins = [
        SQL("LEFT JOIN ({}) AS {} ON ({})").format(type_name(join.query), Identifier(join.name), type_name(join.on))
        for join in planned.join
    ]
    spec = TableSpec(
        run_id=run_id,
        table_no=table_no,
        oid=live.oid,
        schema=live.schema,
        name=live.name,
        method=choose_method(connection, planned, live)[0],
        columns=(
            *(column_spec(column, changes.get(column.name), enums or {}) for column in live.columns),
            *(_added_spec(added) for added in planned.add),
        ),
        join=SQL(" ").join(joins).as_string(connection),
        key=live.key,
        capture="row" if live.partitioned or live.kin or live.subscribed else "statement",
        partitioned_by=catalogue.partition_key(connection, live.oid),
        partitions=catalogue.partitions(connection, live.oid),
        shape=shape,
        kin=live.kin,
        plain_patterns=plain_patterns,
    )
    return with_layout(connection, planned, spec)


def column_spec(
    live: LiveColumn, change: ColumnPlan | FilledColumnPlan | None, enums: Mapping[str, EnumType]
) -> ColumnSpec:
    """What a live column becomes by this part of the plan, or stays without one."""
    spec = ColumnSpec(
        name=live.name,
        live_type=live.type,
        next_type=live.type,
        generated=live.generated,
        hash_as_text=live.hash_as_text,
        hash_by_output=live.hash_by_output,
        loose=live.hash_as_text,
        operators=live.operators,
        blanks_ignored=live.blanks_ignored,
    )
    match change:
        case ColumnPlan():
            enum = None if change.type is None else enums[change.type]
            return replace(
                spec,
                # A domain's CHECKs may not hold for the canonical spelling: values are compared as its base type.
                live_type=live.base_type,
                next_type=change.to if enum is None else enum.spelled,
                labels=() if enum is None else enum.labels,
                words=tuple(change.map.items()),
                drops_checks="enum_checks" in change.consent,
                hash_as_text=change.to != "uuid",
                hash_by_output=False,
                not_null=live.domain_not_null,
                on_invalid=change.on_invalid,
                default=change.default or "",
            )
        case FilledColumnPlan():
            return replace(
                spec,
                value=change.value,
                only_null=change.only_null,
                compared=change.stable,
                default=change.default or "",
                live_default=live.default_expr or "",
                not_null=change.not_null,
                on_update=change.on_update or "",
            )
    return spec


def _added_spec(added: AddedColumnPlan) -> ColumnSpec:
    return ColumnSpec(
        name=added.name,
        live_type="",
        next_type=added.type,
        generated=False,
        hash_as_text=True,
        value=added.value or "",
        compared=added.stable and added.value is not None,
        default=added.default or "",
        not_null=added.not_null,
        unique=added.unique,
        on_update=added.on_update or "",
    )


def choose_axis(connection: Connection, planned: TablePlan, live: LiveTable) -> tuple[Axis, str]:
    """The axis and why: the plan's word, else by how far the heap follows the key. A backfill goes by the key."""
    method, why = choose_method(connection, planned, live)
    if method == "backfill":
        return Axis.PRIMARY_KEY, f"filled in place: {why}"
    if planned.axis != "auto":
        return Axis(planned.axis), "the plan says so"
    if live.partitioned:
        return Axis.HEAP, "all partitions are read in ranges of the same blocks"
    known = catalogue.correlation(connection, live)
    if known is None:
        return Axis.HEAP, "the table was never analysed; it is read in the order of its blocks"
    if abs(known) >= CORRELATED_FROM:
        return Axis.PRIMARY_KEY, f"the heap follows the key (correlation {known:.2f})"
    return Axis.HEAP, f"the key is scattered over the heap (correlation {known:.2f})"
