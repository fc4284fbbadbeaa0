"""Whether the user's triggers can stand on a table that is partitioned otherwise than the live one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from producer.audit.attempt import attempt
from producer.audit.findings import Finding, Subject
from replank.table_spec import TableSpec
from sql.connection import Connection, apply_settings, rows
from sql.indexes import quoted
from sql.named import query
from sql.next_table import server_text


def try_triggers(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Makes them on the next table, inside the trial's transaction. A plain table can carry all that one could."""
    spec = subject.spec
    if spec.layout is None or not spec.next_partitioned:
        return
    apply_settings(connection, {"search_path": quoted(spec.schema)}, local=True)
    found = rows(connection, query("layout.triggers"), {"oid": spec.oid})
    for trigger in found:
        build = partial(_create, connection, spec, str(trigger["definition"]))
        failed = attempt(connection, subject.name, f"trigger {trigger['name']}", build)
        if failed is not None:
            yield failed


def _create(connection: Connection, spec: TableSpec, definition: str) -> None:
    apply_settings(connection, {"search_path": quoted(spec.next_schema, spec.schema)}, local=True)
    connection.execute(server_text(definition))
