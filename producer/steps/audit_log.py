"""Step 03: tables for audit logs, and triggers that capture every change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replank.errors import WrongUse
from replank.plan.steps.steps_plan import AuditLogPlan
from sql.catalogue.relations import NamedTable, looked_up, read_relations, schema_exists, taken_names
from sql.scripts import script_templates
from sql.session.connection import Connection

OURS = frozenset({"audit_log", "audit_log_default", "data_access", "security_event", "compliance_event", "retention"})

TRIGGER = "replank_audit_insert"
"""Every table that is audited has it."""


def facts(connection: Connection, plan: AuditLogPlan) -> Mapping[str, Any]:
    """What the templates of step 03 need. Raises WrongUse for tables that are not there, or names that are taken."""
    there = {name: table for name, table in read_relations(connection).items() if table.schema != plan.table_schema}
    found, unknown = (list(there.values()), []) if plan.tables is None else looked_up(there, plan.tables)
    if unknown:
        raise WrongUse(f"steps.audit_log: table {', '.join(unknown)} does not exist")
    taken = sorted(OURS & taken_names(connection, plan.table_schema))
    if taken:
        raise WrongUse(
            f"steps.audit_log: schema {plan.table_schema} has {', '.join(taken)} already. Name another schema"
        )
    return {
        "schema": script_templates.name(plan.table_schema),
        "schema_text": script_templates.text(script_templates.name(plan.table_schema)),
        "schema_is_ours": script_templates.as_written(str(not schema_exists(connection, plan.table_schema)).lower()),
        "months_ahead": plan.months_ahead,
        "keep": script_templates.text(plan.keep),
        "actor": script_templates.text(plan.actor),
        "request": script_templates.text(plan.request),
        "tables": [_table(table) for table in found],
    }


def _table(table: NamedTable) -> Mapping[str, Any]:
    full = script_templates.name(table.schema, table.name)
    return {
        "said": script_templates.as_written(table.full_name.replace("\n", " ")),
        "name": full,
        "regclass_text": script_templates.text(full),
        "key": script_templates.text(_array(table.key)),
    }


def _array(key: tuple[str, ...]) -> str:
    """An array's text, e.g. `{"a","b"}`: a trigger's argument is a text."""
    quoted = ('"' + column.replace("\\", "\\\\").replace('"', '\\"') + '"' for column in key)
    return "{" + ",".join(quoted) + "}"
