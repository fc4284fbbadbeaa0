"""Step 03: tables for audit logs, and triggers that capture every change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replank.errors import WrongUse
from replank.steps_plan import AuditLogPlan
from sql import scripts
from sql.connection import Connection
from sql.relations import NamedTable, looked_up, read_relations, schema_exists, taken_names

OURS = frozenset({"audit_log", "audit_log_default", "data_access", "security_event", "compliance_event", "retention"})

TRIGGER = "replank_audit_insert"
"""Every table that is audited has it."""


def facts(connection: Connection, plan: AuditLogPlan) -> Mapping[str, Any]:
    """What the templates of step 03 need. Raises WrongUse for tables that are not there, or names that are taken."""
    there = {name: table for name, table in read_relations(connection).items() if table.schema != plan.table_schema}
    found, unknown = (list(there.values()), []) if plan.tables is None else looked_up(there, plan.tables)
    if unknown:
        raise WrongUse(f"steps.audit_log: there is no table {', '.join(unknown)}")
    taken = sorted(OURS & taken_names(connection, plan.table_schema))
    if taken:
        raise WrongUse(
            f"steps.audit_log: schema {plan.table_schema} has {', '.join(taken)} already; name another schema"
        )
    return {
        "schema": scripts.name(plan.table_schema),
        "schema_text": scripts.text(scripts.name(plan.table_schema)),
        "schema_is_ours": scripts.as_written(str(not schema_exists(connection, plan.table_schema)).lower()),
        "months_ahead": plan.months_ahead,
        "keep": scripts.text(plan.keep),
        "actor": scripts.text(plan.actor),
        "request": scripts.text(plan.request),
        "tables": [_table(table) for table in found],
    }


def _table(table: NamedTable) -> Mapping[str, Any]:
    full = scripts.name(table.schema, table.name)
    return {
        "said": scripts.as_written(table.full_name.replace("\n", " ")),
        "name": full,
        "regclass_text": scripts.text(full),
        "key": scripts.text(_array(table.key)),
    }


def _array(key: tuple[str, ...]) -> str:
    """An array's text, e.g. `{"a","b"}`: a trigger's argument is a text."""
    quoted = ('"' + column.replace("\\", "\\\\").replace('"', '\\"') + '"' for column in key)
    return "{" + ",".join(quoted) + "}"
