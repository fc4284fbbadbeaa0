"""Conversion sets: tables that must cut over together, because a foreign key joins them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sql.catalogue import ForeignKey


def conversion_sets(tables: Sequence[int], keys: Iterable[ForeignKey]) -> dict[int, int]:
    """Table oid → set number (from 1, in the order of `tables`).

    Two tables of the plan that any foreign key joins are in one set, whether or not its columns
    change: the key must lead from a new table to a new table at every moment.
    """
    parent = {oid: oid for oid in tables}

    def root(oid: int) -> int:
        while parent[oid] != oid:
            parent[oid] = parent[parent[oid]]
            oid = parent[oid]
        return oid

    for key in keys:
        if key.table_oid in parent and key.ref_oid in parent:
            parent[root(key.table_oid)] = root(key.ref_oid)
    numbers: dict[int, int] = {}
    return {oid: numbers.setdefault(root(oid), len(numbers) + 1) for oid in tables}


def key_documents(members: set[int], keys: Iterable[ForeignKey]) -> list[Mapping[str, Any]]:
    """The foreign keys that start from or lead to a member, as the ledger keeps them."""
    return [
        {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(key).items()}
        for key in keys
        if key.table_oid in members or key.ref_oid in members
    ]
