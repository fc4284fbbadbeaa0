"""What `inspect` proposes: columns that become uuid, that could, and that stay, each with its reason."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from producer.inspect.few_values import ProposedEnum


@dataclass(frozen=True, kw_only=True)
class ProposedColumn:
    name: str
    type: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ProposedTable:
    """A table to rebuild. `set_no` counts conversion sets from 1."""

    schema: str
    name: str
    set_no: int
    columns: tuple[ProposedColumn, ...]


@dataclass(frozen=True, kw_only=True)
class PossibleColumn:
    """It holds only uuids, and no key says that it is an id: a comment of the plan. `to` is `uuid` or `uuid[]`."""

    schema: str
    table: str
    column: str
    type: str
    to: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class LeftAlone:
    schema: str
    table: str
    column: str
    type: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What a plan should hold, in the order of the conversion sets, and what it should not, and why."""

    database: str
    system_identifier: str
    tables: tuple[ProposedTable, ...]
    left_alone: tuple[LeftAlone, ...]
    prose_columns: int
    possible: tuple[PossibleColumn, ...] = ()
    """Columns that hold only uuids without being keys or leading to one; comments in the plan."""
    enums: tuple[ProposedEnum, ...] = ()
    """Columns that could be enums; comments in the plan."""

    @property
    def sets(self) -> dict[int, list[ProposedTable]]:
        found: dict[int, list[ProposedTable]] = defaultdict(list)
        for table in self.tables:
            found[table.set_no].append(table)
        return dict(found)

    def to_json(self) -> dict[str, Any]:
        """`tables`, `left_alone` and `sets` for programs."""
        return {
            "database": self.database,
            "tables": [
                {
                    "schema": t.schema,
                    "name": t.name,
                    "set": t.set_no,
                    "columns": [{"name": c.name, "type": c.type, "to": "uuid", "reason": c.reason} for c in t.columns],
                }
                for t in self.tables
            ],
            "left_alone": [
                {"schema": c.schema, "table": c.table, "column": c.column, "type": c.type, "reason": c.reason}
                for c in self.left_alone
            ],
            "sets": [
                {"set": number, "tables": [f"{t.schema}.{t.name}" for t in members]}
                for number, members in self.sets.items()
            ],
            "possible": [asdict(column) for column in self.possible],
            "prose_columns": self.prose_columns,
            "enums": [
                {
                    "schema": e.schema,
                    "table": e.table,
                    "column": e.column,
                    "type": ".".join(e.type),
                    "values": list(e.values),
                }
                for e in self.enums
            ],
        }
