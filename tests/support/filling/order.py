"""What is decided before the first row: the order of the tables, their sizes, what keeps rows apart."""

import re
from collections.abc import Mapping

from support.filling.tables import Table, TableName
from support.filling.values import Column

MINIMUM_ROWS = 5


class CannotFillError(Exception):
    """The filler has no value for a column, or no order for the tables; the message says which."""


def fill_order(tables: Mapping[TableName, Table]) -> list[TableName]:
    """Parents before children as far as NOT NULL foreign keys ask for it; nullable ones may point ahead.

    Raises ``CannotFillError`` when NOT NULL foreign keys form a ring through several tables.
    """
    order: list[TableName] = []
    waiting = dict(tables)
    while waiting:
        ready = [name for name, table in waiting.items() if not table.must_come_after() & set(waiting)]
        if not ready:
            raise CannotFillError(f"NOT NULL foreign keys form a ring through {sorted(waiting)}")
        # A nullable key rather comes after its parent as well: then no second pass is needed.
        easy = [
            name for name in ready if not ({key.parent for key in waiting[name].foreign_keys} - {name}) & set(waiting)
        ]
        for name in easy or ready[:1]:
            order.append(name)
            del waiting[name]
    return order


def share_out(tables: Mapping[TableName, Table], rows: int) -> dict[TableName, int]:
    """How many rows each table should get: logs, events and daily sums take most of ``rows``."""
    referenced = {key.parent for table in tables.values() for key in table.foreign_keys}
    weights: dict[TableName, float] = {}
    for name in tables:
        text = name[1].lower()
        weight = 1.0 if name in referenced else 0.5
        if re.search(r"logs?$", text):
            weight = 40.0
        elif "daily" in text and text.endswith("spend"):
            weight = 10.0
        elif re.search(r"index$|events?$|messages?$|audit|history|items?$|lines?$|token", text):
            weight = 6.0
        weights[name] = weight
    total = sum(weights.values())
    return {name: max(MINIMUM_ROWS, round(rows * weight / total)) for name, weight in weights.items()}


_CARRIER_RANK = {
    "int8": 2, "uuid": 2, "int4": 3, "numeric": 4, "timestamp": 5, "timestamptz": 5, "bytea": 6,
    "date": 7, "inet": 8, "float8": 8, "oid": 8, "int2": 9,
}  # fmt: skip


def carriers(table: Table, assigned: set[str]) -> set[str]:
    """The columns whose value is made from the row's number alone, one for each unique key.

    A key needs none when the server makes one of its columns or when another key's carrier is in it. Keys
    that consist of foreign keys only get none: see ``_Filling._pick``.
    """
    chosen: set[str] = set()
    for unique in sorted(table.unique_keys, key=len):
        if unique & chosen or any(table.columns[name].is_automatic for name in unique):
            continue
        candidates = [
            (_rank(column), column.name)
            for name in unique - assigned
            if (column := table.columns[name]) and _rank(column) is not None
        ]
        if candidates:
            chosen.add(min((rank, name) for rank, name in candidates if rank is not None)[1])
    return chosen


def _rank(column: Column) -> int | None:
    """How well a column can keep rows apart (0 best); None when it cannot."""
    if column.choices or column.is_array or re.search(r"(^|_)date$", column.name):
        return None
    if column.is_text:
        return 0 if column.kind == "other" else 1
    return _CARRIER_RANK.get(column.type)
