"""A foreign key as quarantine follows it: from a row to the row that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Equality = tuple[str, str, str]
"""How PostgreSQL compares a column of a foreign key: the parent's cast, the operator, the child's cast and collation.

All three are SQL that the server wrote.
"""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """`columns` of a table lead to `ref_columns` of another of its run, whose rows may be quarantined.

    Where `nulled` names columns, these become NULL instead, and the row stays. `parent_key` is that of
    capture, in key order.
    """

    columns: tuple[str, ...]
    ref_columns: tuple[str, ...]
    equality: tuple[Equality, ...]
    nulled: tuple[str, ...]
    parent_no: int
    parent_schema: str
    parent_name: str
    parent_key: tuple[str, ...]
    parent_operators: tuple[str, ...]
    """The schema of each key column's operators."""
    parent_partitioned: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Reference:
        made: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
        }
        made["equality"] = equality_from_json(document["equality"])
        return cls(**made)


def equality_from_json(document: Iterable[Iterable[str]]) -> tuple[Equality, ...]:
    """Of each column, in the key's order."""
    return tuple((parent, operator, child) for parent, operator, child in document)


def quarantine_name(run_id: int, table_no: int) -> str:
    """The table in schema `replank` with the rows of a table that are quarantined."""
    return f"quarantine_{run_id}_{table_no}"
