"""What the steps that are scripts mean for the schema file: before they run and after it alike.

Tables for audit logs and cached permissions lie in schemas of their own, which a file does not name: no model is made
of them. A file whose `schemas` names such a schema would find tables there that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from producer.history.changes.changes import AddedColumn, AddedIndex, Change, EnumValues, RenamedEnum, Table
from producer.history.changes.foreign_key_indexes import foreign_key_indexes
from producer.steps.enum_types import after_step
from replank.plan.steps.mappings_plan import MappingsPlan
from replank.plan.steps.steps_plan import EnumPlan, IndexesPlan, StepsPlan, UuidFieldsPlan
from replank.plan.text.plan_words import split_name
from sql.catalogue import prisma
from sql.catalogue.catalogue import LiveTable
from sql.catalogue.relations import enum_labels, free_name, taken_names
from sql.session.connection import Connection


def step_changes(connection: Connection, steps: StepsPlan, tables: Sequence[LiveTable]) -> list[Change]:
    """The changes of steps 01, 02 and 05. Tables that are not there are passed over: `compile` names them."""
    named = {(table.schema, table.name): table for table in tables}
    found: list[Change] = []
    if steps.uuid_fields is not None:
        found += _uuid_fields(connection, steps.uuid_fields, named)
    if steps.indexes is not None:
        found += _indexes(connection, steps.indexes, named, steps.mappings)
    for enum in steps.enums:
        found += _enum(connection, enum)
    return found


def own_schemas(steps: StepsPlan) -> list[str]:
    """The schemas of tables that no model is made of."""
    asked = (steps.audit_log, steps.permission_cache)
    return [step.table_schema for step in asked if step is not None]


def _uuid_fields(
    connection: Connection, plan: UuidFieldsPlan, named: Mapping[Table, LiveTable]
) -> Iterator[AddedColumn]:
    for name in map(split_name, plan.tables):
        table = named.get(name)
        if table is None:
            continue
        unique = [
            index.name
            for index in prisma.read_live_indexes(connection, [table.oid])
            if index.is_unique and index.columns == (plan.column,) and not index.partial
        ]
        new = free_name((table.name, plan.column), "key", taken_names(connection, table.schema))
        yield AddedColumn(
            table=name,
            column=plan.column,
            type="uuid",
            not_null=True,
            default="gen_random_uuid()",
            unique=unique[0] if unique else new,
        )


def _indexes(
    connection: Connection, plan: IndexesPlan, named: Mapping[Table, LiveTable], rule: MappingsPlan | None
) -> Iterator[AddedIndex]:
    """Prisma has no words for indexes over a part of the rows, and finds none of them."""
    if plan.foreign_keys:
        yield from foreign_key_indexes(connection, plan, named, rule)
    for index in plan.add:
        table = split_name(index.table)
        if table in named and index.where is None:
            yield AddedIndex(
                table=table, name=index.name, columns=index.columns, unique=index.unique, include=index.include
            )


def _enum(connection: Connection, enum: EnumPlan) -> Iterator[Change]:
    name = (enum.table_schema, enum.name)
    present = enum_labels(connection, *name)
    renamed = tuple(enum.rename.items())
    yield EnumValues(enum=name, labels=after_step(present, enum), renamed=renamed)
    if renamed:
        yield RenamedEnum(enum=name, labels=renamed)
