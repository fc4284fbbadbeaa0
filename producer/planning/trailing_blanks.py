"""Which texts are converted without blanks at their end: those that a foreign key compares as char.

For char, 'ab' and 'ab   ' are one value, so a text that refers to a char column may have blanks that it does not. What
foreign keys join becomes the same uuid only if all of it is read as the key's own equality sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from replank.plan.tables.table_plan import TablePlan
from sql.catalogue.catalogue import ForeignKey, LiveTable

Planned = tuple[TablePlan, LiveTable]
Column = tuple[int, str]
"""A table's oid and a column's name."""


def without_blanks(tables: Sequence[Planned], keys: Iterable[ForeignKey]) -> tuple[Planned, ...]:
    """The tables, with `blanks_ignored` at every column that foreign keys join with a char, directly or over others."""
    found = _joined_with_char(tables, keys)
    return tuple((planned, _marked(live, found)) for planned, live in tables)


def _joined_with_char(tables: Sequence[Planned], keys: Iterable[ForeignKey]) -> frozenset[Column]:
    types = {(live.oid, column.name): column.base_name for _, live in tables for column in live.columns}
    planned = {(live.oid, column.name) for plan, live in tables for column in plan.columns}
    pairs = [
        (one, other)
        for key in keys
        for name, ref in zip(key.columns, key.ref_columns, strict=True)
        if {one := (key.table_oid, name), other := (key.ref_oid, ref)} <= planned
    ]
    found = {column for one, other in pairs if types[other] == "bpchar" for column in (one, other)}
    while True:
        more = {column for pair in pairs if not found.isdisjoint(pair) for column in pair} - found
        if not more:
            return frozenset(found)
        found |= more


def _marked(live: LiveTable, found: frozenset[Column]) -> LiveTable:
    columns = tuple(replace(c, blanks_ignored=True) if (live.oid, c.name) in found else c for c in live.columns)
    return replace(live, columns=columns)
