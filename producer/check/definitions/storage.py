"""Who stores a table's rows: whatever is not PostgreSQL's own heap is refused by its name."""

from __future__ import annotations

from producer.check.findings import Finding, blocker
from producer.planning.prepared_run import PreparedRun
from sql.catalogue.stores import Store, read_stores
from sql.session.connection import Connection

HINTS = {
    "distributed table": "Citus stores the rows of {table} in shards on other servers. Undistribute it before the "
    "run (undistribute_table), or remove it from the plan, together with tables that foreign "
    "keys join to it.",
    "hypertable": "TimescaleDB stores the rows of {table} in chunks that only it can create. Remove the table from "
    "the plan, together with tables that foreign keys join to it.",
    "table access method": "Only heap tables can be cut into chunks. Run ALTER TABLE {table} SET ACCESS METHOD "
    "heap, or remove it from the plan.",
}


def audit_storage(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Blockers for tables, or partitions of them, that are no heaps of this server."""
    names = {relation.oid: subject.name for subject in audited.subjects for relation in subject.spec.relations}
    return [_stored(found, names[found.oid]) for found in read_stores(connection, list(names))]


def _stored(found: Store, table: str) -> Finding:
    return blocker(
        "not_a_heap",
        str(found),
        hint=HINTS[found.kind].format(table=table),
        table=table,
        object=found.name,
        kind=found.kind,
    )
