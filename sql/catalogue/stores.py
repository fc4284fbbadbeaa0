"""What stores a table's rows, where that is not PostgreSQL's own heap on this server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sql.session.connection import Connection, rows
from sql.session.named_queries import query

_QUESTIONS = (
    ("distributed table", "citus", "platforms.distributed_tables"),
    ("hypertable", "timescaledb", "platforms.hypertables"),
    ("table access method", "", "platforms.access_methods"),
)
"""What it is called; the extension whose own catalogue says so, and the question."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """A relation that is no heap of this server's. `kind` is what it is called, `store` what keeps it."""

    oid: int
    name: str
    store: str
    kind: str

    def __str__(self) -> str:
        return f"{self.name} is a {self.kind} ({self.store}), not an ordinary table of this server"


def read_stores(connection: Connection, oids: Sequence[int]) -> list[Store]:
    """Those of the relations that are no heaps."""
    present = {found["name"] for found in rows(connection, query("platforms.extensions"))}
    return [
        Store(**found, kind=kind)
        for kind, extension, question in _QUESTIONS
        if not extension or extension in present
        for found in rows(connection, query(question), {"oids": list(oids)})
    ]
