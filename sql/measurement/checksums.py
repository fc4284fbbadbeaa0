"""What a database holds, as figures that do not depend on the order of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.sql import Identifier

from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query

Name = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Checksums:
    """Rows and their sum for each table, where each sequence stands; names are (schema, name)."""

    tables: Mapping[Name, tuple[int, str]]
    sequences: Mapping[Name, str]

    @property
    def rows(self) -> int:
        return sum(count for count, _ in self.tables.values())


def read_checksums(connection: Connection) -> Checksums:
    """Read every row of the database: no session may write meanwhile."""
    tables: dict[Name, tuple[int, str]] = {}
    for found in rows(connection, query("rehearsal.contents")):
        name = (found["schema"], found["name"])
        told = row(connection, query("rehearsal.rows_of").format(name=Identifier(*name)))
        assert told is not None
        tables[name] = (told["rows"], told["sum"])
    found_sequences = rows(connection, query("rehearsal.sequences"))
    return Checksums(tables=tables, sequences={(s["schema"], s["name"]): s["value"] for s in found_sequences})
