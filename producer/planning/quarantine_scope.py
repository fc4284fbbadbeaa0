"""Which tables quarantine concerns: those with such a policy, and whatever leads to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from replank.plan.tables.table_plan import TablePlan
from replank.values.reference import Reference
from replank.values.table_spec import TableSpec
from sql.catalogue.catalogue import ForeignKey, LiveTable

Planned = tuple[TablePlan, LiveTable]


def quarantining_tables(tables: Iterable[Planned], keys: Sequence[ForeignKey]) -> frozenset[int]:
    """The oids of the tables whose rows may be quarantined.

    A row goes with the row that it refers to, unless the plan makes one of the reference's columns NULL.
    """
    plans = {live.oid: planned for planned, live in tables}
    aside = {oid for oid, planned in plans.items() if any(c.on_invalid == "quarantine" for c in planned.columns)}
    while True:
        more = {
            key.table_oid
            for key in keys
            if key.ref_oid in aside and key.table_oid in plans and not nulled(plans[key.table_oid], key)
        }
        if more <= aside:
            return frozenset(aside)
        aside |= more


def nulled(planned: TablePlan, key: ForeignKey) -> tuple[str, ...]:
    """The columns of a foreign key that become NULL where they lead to no row of the next table."""
    return tuple(c.name for c in planned.columns if c.name in key.columns and c.on_invalid == "null")


def rebuilt_where_quarantined(tables: Sequence[Planned], keys: Sequence[ForeignKey]) -> tuple[Planned, ...]:
    """A table whose rows may be quarantined is rebuilt, whatever would be cheaper; the plan's own word is kept."""
    aside = quarantining_tables(tables, keys)
    return tuple(
        (planned.model_copy(update={"method": "rebuild"}), live)
        if live.oid in aside and planned.method == "auto"
        else (planned, live)
        for planned, live in tables
    )


def with_quarantine(
    specs: Sequence[TableSpec], tables: Sequence[Planned], keys: Sequence[ForeignKey]
) -> list[TableSpec]:
    """The specs with what quarantine needs to know of them; `specs` and `tables` are in one order."""
    aside = quarantining_tables(tables, keys)
    plans: Mapping[int, TablePlan] = {live.oid: planned for planned, live in tables}
    by_oid = {spec.oid: spec for spec in specs}
    return [
        replace(
            spec,
            quarantines=spec.oid in aside,
            references=tuple(
                dict.fromkeys(
                    _reference(plans[spec.oid], key, by_oid[key.ref_oid])
                    for key in keys
                    if key.table_oid == spec.oid and key.ref_oid in aside
                )
            ),
        )
        for spec in specs
    ]


def _reference(planned: TablePlan, key: ForeignKey, parent: TableSpec) -> Reference:
    return Reference(
        columns=key.columns,
        ref_columns=key.ref_columns,
        equality=key.equality,
        nulled=nulled(planned, key),
        parent_no=parent.table_no,
        parent_schema=parent.schema,
        parent_name=parent.name,
        parent_key=parent.key,
        parent_operators=tuple(column.operators for column in parent.key_columns),
        parent_partitioned=parent.partitioned,
    )
