"""Step 01: a native uuid column for tables that have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replank.errors import WrongUse
from replank.plan.steps.steps_plan import UuidFieldsPlan
from sql.catalogue.relations import NamedTable, free_name, looked_up, read_relations, taken_names
from sql.scripts import script_templates
from sql.session.connection import Connection


def facts(connection: Connection, plan: UuidFieldsPlan) -> Mapping[str, Any]:
    """What the templates of step 01 need. Raises WrongUse where a table is not there, or has the column."""
    found, unknown = looked_up(read_relations(connection), plan.tables)
    mistakes = [f"table {name} does not exist" for name in unknown]
    for table in found:
        if plan.column in table.columns:
            mistakes.append(f"{table.full_name} already has a column {plan.column}")
        if table.partitioned:
            mistakes.append(
                f"{table.full_name} is partitioned: a unique index has to include the partition key. "
                "Add the column by [[tables.add]] instead"
            )
    if mistakes:
        raise WrongUse("steps.uuid_fields: " + "; ".join(mistakes))
    taken = {schema: taken_names(connection, schema) for schema in {table.schema for table in found}}
    tables = [_facts(table, plan.column, taken[table.schema]) for table in found]
    return {
        "tables": tables,
        "column": script_templates.name(plan.column),
        "column_text": script_templates.text(plan.column),
    }


def _facts(table: NamedTable, column: str, taken: set[str]) -> Mapping[str, Any]:
    index = free_name((table.name, column), "key", taken)
    taken.add(index)
    check = free_name((table.name, column), "not_null", ())
    full = script_templates.name(table.schema, table.name)
    return {
        "said": script_templates.as_written(table.full_name.replace("\n", " ")),
        "name": full,
        "regclass": script_templates.as_written(f"{script_templates.text(full)}::regclass"),
        "quiet": table.update_triggers,
        "index_name": script_templates.name(index),
        "index": script_templates.name(table.schema, index),
        "index_regclass": script_templates.text(script_templates.name(table.schema, index)),
        "check": script_templates.name(check),
        "check_text": script_templates.text(check),
    }
