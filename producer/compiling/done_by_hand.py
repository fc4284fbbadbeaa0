"""Steps of the first two phases that psql has run already, as the catalogue tells: they are not compiled again.

Step 07 gives other names, and the plan keeps the old ones for the steps before it; so each is looked for by both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from producer.steps import audit_log, permission_cache
from producer.steps.compiled import CompiledStep
from producer.steps.mappings import renamed_tables
from replank.plan.plan import Plan
from replank.plan.steps.mappings_plan import MappingsPlan
from replank.plan.steps.steps_plan import (
    AuditLogPlan,
    EnumPlan,
    IndexesPlan,
    PermissionCachePlan,
    StepsPlan,
    UuidFieldsPlan,
)
from replank.plan.text.plan_words import split_name
from replank.values.steps import DATA_PHASE
from sql.catalogue.relations import NamedTable, enum_labels, read_relations, taken_names, unled_foreign_keys
from sql.scripts.compatibility_views import compatibility_views
from sql.session.connection import Connection, value
from sql.session.named_queries import query


def done_by_hand(connection: Connection, plan: Plan) -> frozenset[int]:
    """The numbers of the steps whose whole work is there.

    Empty where nothing of it can be known from something else: an index for each foreign key, say, many databases have.
    """
    steps = plan.steps
    names = _Names(connection=connection, rule=steps.mappings, present=read_relations(connection))
    unmistakable = {
        1: steps.uuid_fields is not None and _has_fields(names, steps.uuid_fields),
        2: steps.indexes is not None and bool(steps.indexes.add) and _has_indexes(names, steps.indexes),
        3: steps.audit_log is not None and _is_audited(names, steps.audit_log),
        4: steps.permission_cache is not None and _has_cache(names, steps.permission_cache),
        7: steps.mappings is not None and _is_renamed(names, steps) and bool(compatibility_views(connection)),
    }
    done = {number for number, there in unmistakable.items() if there}
    if done:
        others = {
            2: steps.indexes is not None and _has_indexes(names, steps.indexes),
            5: bool(steps.enums) and all(_has_values(names, enum) for enum in steps.enums),
            7: steps.mappings is not None and _is_renamed(names, steps),
        }
        done |= {number for number, there in others.items() if there}
    return frozenset(done)


def compile_again(compiled: Iterable[CompiledStep]) -> list[str]:
    """The steps that change what 08 and those behind it are compiled from; none where these hold as they are."""
    steps = list(compiled)
    if not any(each.asked and each.step.phase > 2 for each in steps):
        return []
    return [
        each.step.name for each in steps if each.asked and each.step.phase < DATA_PHASE and each.forward.change is None
    ]


@dataclass(frozen=True, kw_only=True)
class _Names:
    """Tables and columns by their names of before step 07, as they are called now."""

    connection: Connection
    rule: MappingsPlan | None
    present: Mapping[str, NamedTable]

    def table(self, name: str) -> NamedTable | None:
        schema, table = split_name(name)
        after = table if self.rule is None else self.rule.table_to(schema, table)
        return self.present.get(f"{schema}.{table}") or self.present.get(f"{schema}.{after}")

    def tables(self, names: Iterable[str]) -> list[NamedTable] | None:
        """None where one of them is missing."""
        found = [self.table(name) for name in names]
        there = [table for table in found if table is not None]
        return there if len(there) == len(found) else None

    def column(self, name: str, table: NamedTable, column: str) -> str:
        if column in table.columns or self.rule is None:
            return column
        return self.rule.column_to(*split_name(name), column)

    def has(self, asked: str, table: NamedTable, name: str) -> bool:
        return bool(value(self.connection, query(f"steps.{asked}"), {"oid": table.oid, "name": name}))


def _has_fields(names: _Names, plan: UuidFieldsPlan) -> bool:
    found = names.tables(plan.tables)
    return found is not None and all(
        names.has("has_uuid_field", table, names.column(name, table, plan.column))
        for name, table in zip(plan.tables, found, strict=True)
    )


def _has_indexes(names: _Names, plan: IndexesPlan) -> bool:
    only = list(names.present.values()) if plan.tables is None else names.tables(plan.tables)
    own = names.tables(index.table for index in plan.add)
    if only is None or own is None:
        return False
    wanted = {table.full_name for table in only}
    unled = unled_foreign_keys(names.connection) if plan.foreign_keys else []
    return not any(f"{key.schema}.{key.table_name}" in wanted for key in unled) and all(
        names.has("has_index", table, index.name) for index, table in zip(plan.add, own, strict=True)
    )


def _is_audited(names: _Names, plan: AuditLogPlan) -> bool:
    there = [table for table in names.present.values() if table.schema != plan.table_schema]
    if plan.tables is not None:
        there = names.tables(plan.tables) or []
    made = taken_names(names.connection, plan.table_schema) >= audit_log.OURS
    return made and bool(there) and all(names.has("has_trigger", table, audit_log.TRIGGER) for table in there)


def _has_cache(names: _Names, plan: PermissionCachePlan) -> bool:
    made = taken_names(names.connection, plan.table_schema) >= permission_cache.OURS
    sources = names.tables(source.table for source in plan.sources)
    return (
        made
        and sources is not None
        and all(names.has("has_trigger", table, permission_cache.TRIGGER) for table in sources)
    )


def _has_values(names: _Names, plan: EnumPlan) -> bool:
    present = enum_labels(names.connection, plan.table_schema, plan.name) or ()
    wanted = {plan.rename.get(label, label) for label in plan.values} | set(plan.rename.values())
    return wanted <= set(present) and not any(old in present for old in plan.rename)


def _is_renamed(names: _Names, steps: StepsPlan) -> bool:
    assert names.rule is not None
    named = (*(names.rule.tables or ()), *(one.table for one in names.rule.rename))
    return names.tables(named) is not None and not renamed_tables(names.connection, steps)
