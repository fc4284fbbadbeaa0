"""Who stores a table's rows: whatever is not PostgreSQL's own heap is refused by its name."""

from __future__ import annotations

from collections.abc import Iterator

from producer.audit.findings import Audited, Finding, blocker
from sql.connection import Connection, rows
from sql.named import query

STORES = {
    "distributed table": ("citus", "platforms.distributed_tables"),
    "hypertable": ("timescaledb", "platforms.hypertables"),
    "table access method": ("", "platforms.access_methods"),
}
"""What it is called; the extension whose own catalogue says so, and the question."""

HINTS = {
    "distributed table": "Citus keeps the rows of {table} in shards on other servers. Undistribute it before the run "
    "(undistribute_table), or take it out of the plan; so must tables that foreign keys join to it.",
    "hypertable": "TimescaleDB keeps the rows of {table} in chunks that only it may make. Take the table out of the "
    "plan; so must tables that foreign keys join to it.",
    "table access method": "Chunks are ranges of blocks of a heap. ALTER TABLE {table} SET ACCESS METHOD heap, or take "
    "it out of the plan.",
}


def audit_storage(connection: Connection, audited: Audited) -> list[Finding]:
    """Blockers for tables, or partitions of them, that are no heaps of this server."""
    present = {found["name"] for found in rows(connection, query("platforms.extensions"))}
    oids = [relation.oid for subject in audited.subjects for relation in subject.spec.relations]
    names = {relation.oid: subject.name for subject in audited.subjects for relation in subject.spec.relations}
    return [
        finding
        for what, (extension, question) in STORES.items()
        if not extension or extension in present
        for finding in _stored(connection, what, question, oids, names)
    ]


def _stored(
    connection: Connection, what: str, question: str, oids: list[int], names: dict[int, str]
) -> Iterator[Finding]:
    for found in rows(connection, query(question), {"oids": oids}):
        table = names[found["oid"]]
        yield blocker(
            "not_a_heap",
            f"{found['name']} is a {what} ({found['store']}), not an ordinary table of this server",
            hint=HINTS[what].format(table=table),
            table=table,
            object=found["name"],
            kind=what,
        )
