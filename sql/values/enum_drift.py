"""Enum types that change during a run: new values do no harm, renamed values do."""

from __future__ import annotations

from collections.abc import Iterable

from replank.errors import NeedsOperator
from replank.values.table_spec import TableSpec
from sql.session.connection import Connection, rows
from sql.session.named_queries import query


def refuse_renamed_values(connection: Connection, specs: Iterable[TableSpec]) -> None:
    """Raises NeedsOperator if a value that columns became, or were to become, has another name now, or its type has."""
    wanted = {column.next_type: column.labels for spec in specs for column in spec.columns if column.enum}
    for spelled, labels in wanted.items():
        present = {found["label"] for found in rows(connection, query("enums.labels"), {"spelled": spelled})}
        gone = [label for label in labels if label not in present]
        if gone:
            raise NeedsOperator(
                f"{spelled}: {', '.join(gone)} is not a value of this type any more, so rows cannot be compared. "
                "Rename type and values back (ALTER TYPE … RENAME), then run the same command again. Rename them when "
                "the run is finished."
            )
