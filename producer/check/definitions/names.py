"""Names that the run gives to functions and triggers beside a table, where the application has given them already."""

from __future__ import annotations

from producer.check.findings import Finding, blocker
from producer.planning.prepared_run import PreparedRun
from sql.next_table.on_update_trigger import function_name
from sql.session.connection import Connection, rows
from sql.session.named_queries import query


def audit_names(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """What `on_update` needs; everything else of ours has names that bear the run's number, in schemas of our own."""
    found: list[Finding] = []
    for subject in audited.subjects:
        spec = subject.spec
        if not any(column.on_update for column in spec.columns):
            continue
        named = {"schema": spec.schema, "name": function_name(spec), "oid": spec.oid}
        found += [
            blocker(
                "name_taken",
                f"the {taken['kind']} {taken['object']} already exists, and on_update needs this name",
                hint=f"Rename it, e.g. ALTER {taken['kind'].upper()} … RENAME TO …",
                table=subject.name,
                object=taken["object"],
            )
            for taken in rows(connection, query("audit.taken_on_update"), named)
        ]
    return found
