"""What a plan means for SQLAlchemy models: before its run and after it alike, but for new names."""

from __future__ import annotations

from collections.abc import Mapping

from producer.alembic.models.differences import lost_foreign_keys
from producer.alembic.models.models import Models
from producer.history.changes.changes import Change, Table
from producer.history.changes.names_now import in_names, live_name, steps_now
from producer.history.changes.step_changes import step_changes
from producer.history.changes.table_changes import table_changes
from producer.steps.enum_types import enum_types, make_types
from replank.errors import WrongUse
from replank.plan.plan import Plan
from sql.catalogue.catalogue import read_tables
from sql.session.connection import Connection


def planned_changes(connection: Connection, plan: Plan, models: Models, default_schema: str) -> list[Change]:
    """All changes, in the names of now. Raises WrongUse where the plan does not fit the database."""
    live = {(table.schema, table.name): table for table in read_tables(connection)}
    rule, enums = plan.steps.mappings, enum_types(connection, plan)
    changes = step_changes(connection, steps_now(plan.steps, live), list(live.values()))
    partitioned: dict[Table, str] = {}
    with connection.transaction(force_rollback=True):
        # Columns may have types that step 05 is yet to make.
        make_types(connection, plan)
        for _, planned in plan.wanted_tables:
            table, present = live_name(rule, live, planned)
            if table is None:
                raise WrongUse(f"table {planned.full_name} of the plan is not in this database")
            planned = in_names(planned, table.name, present)
            changes += table_changes(connection, planned, table, enums)
            if planned.partition is not None and planned.partition.by != "none" and planned.partition.column:
                partitioned[table.schema, table.name] = planned.partition.column
    return changes + list(lost_foreign_keys(models, partitioned, default_schema))


def without_model(models: Models, changes: list[Change], default_schema: str) -> list[Table]:
    """Tables of the changes that no model stands for."""
    known: Mapping[Table, object] = models.by_table(default_schema)
    tables = dict.fromkeys(change.table for change in changes if hasattr(change, "table"))
    return [table for table in tables if table not in known]
