"""Orphans: rows whose foreign key leads nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from producer.audit.findings import Audited, Finding, blocker, warning
from sql.auditing import count_orphans
from sql.catalogue import ForeignKey
from sql.connection import Connection, rows
from sql.named import query


def audit_orphans(connection: Connection, audited: Audited) -> list[Finding]:
    """Count rows without a parent where a foreign key does not promise that there are none."""
    keys = {key.oid: key for key in audited.foreign_keys}
    readable = audited.readable_oids
    found: list[Finding] = []
    for suspect in rows(connection, query("audit.suspect_keys"), {"oids": list(keys)}):
        key = keys[suspect["oid"]]
        if not {key.table_oid, key.ref_oid} <= readable:
            continue
        count, examples = count_orphans(connection, key)
        if count:
            found.append(_orphans(key, suspect, count, examples))
    return found


def _orphans(key: ForeignKey, suspect: Mapping[str, bool], count: int, examples: Sequence[str]) -> Finding:
    table = f"{key.schema}.{key.table_name}"
    said = (
        f"{count:,} rows of {table} have no parent in {key.ref_schema}.{key.ref_table} (foreign key {key.name}), "
        f"such as {', '.join(examples)}"
    )
    binding = suspect["validated"] and not suspect["not_enforced"]
    if binding:
        return blocker(
            "orphans",
            f"{said}; the key counts as valid, but its triggers are switched off, and validating it anew would fail",
            hint="Remove or correct these rows, and ENABLE the triggers.",
            table=table,
            column=key.columns[0],
            count=count,
            foreign_key=key.name,
        )
    state = "NOT ENFORCED" if suspect["not_enforced"] else "NOT VALID"
    return warning(
        "orphans",
        f"{said}; the key is {state} and stays so",
        hint="Nothing is lost by the run. Remove these rows if the key is to be validated one day.",
        table=table,
        column=key.columns[0],
        count=count,
        foreign_key=key.name,
    )
