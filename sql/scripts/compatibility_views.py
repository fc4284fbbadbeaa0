"""Views that step 07 leaves under tables' old names, for clients not deployed yet. Their comment marks them."""

from __future__ import annotations

from dataclasses import dataclass

from sql.session.connection import Connection, rows
from sql.session.named_queries import query

MARK = "Replank: the old names of "
"""What their comments begin with; the table's name follows. A rebuild carries the comment on."""


@dataclass(frozen=True, kw_only=True)
class CompatibilityView:
    """A view `schema.name` that stands for the table `schema.of_table`. `columns` are those renamed: (old, new)."""

    schema: str
    name: str
    of_table: str
    columns: tuple[tuple[str, str], ...]

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


def compatibility_views(connection: Connection) -> list[CompatibilityView]:
    """All that are there, by name; those that are being built, or are retained, are not among them."""
    found = rows(connection, query("mappings.compatibility_views"), {"mark": MARK})
    return [
        CompatibilityView(
            schema=r["schema"],
            name=r["name"],
            of_table=r["of_table"],
            columns=tuple((old, new) for old, new in zip(r["old"], r["new"], strict=True) if old != new),
        )
        for r in found
    ]
