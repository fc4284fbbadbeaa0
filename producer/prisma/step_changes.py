"""What the steps that are scripts mean for the schema file: before they run and after it alike.

Tables for audit logs and cached permissions lie in schemas of their own, which a file does not name: no model is made
of them. A file whose `schemas` names such a schema would find tables there that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from producer.enum_types import after_step
from producer.prisma.changes import AddedColumn, AddedIndex, Change, EnumValues, RenamedEnum
from producer.prisma.document import Document
from producer.prisma.schema_names import Table
from replank.mappings_plan import MappingsPlan
from replank.plan_words import split_name
from replank.steps_plan import EnumPlan, IndexesPlan, StepsPlan, UuidFieldsPlan
from sql import prisma
from sql.catalogue import LiveTable, read_foreign_keys
from sql.connection import Connection
from sql.prisma import LiveIndex
from sql.relations import LONGEST_NAME_BYTES, enum_labels, free_name, taken_names, unled_foreign_keys


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


def listed_schemas(document: Document, steps: StepsPlan) -> list[str]:
    """Those of them that the file's datasource names."""
    said = " ".join(line for block in document.of_kind("datasource") for m in block.members for line in m.lines)
    return [schema for schema in own_schemas(steps) if f'"{schema}"' in said]


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
        yield from _of_foreign_keys(connection, plan, named, rule)
    for index in plan.add:
        table = split_name(index.table)
        if table in named and index.where is None:
            yield AddedIndex(
                table=table, name=index.name, columns=index.columns, unique=index.unique, include=index.include
            )


def _of_foreign_keys(
    connection: Connection, plan: IndexesPlan, named: Mapping[Table, LiveTable], rule: MappingsPlan | None
) -> Iterator[AddedIndex]:
    wanted = set(named) if plan.tables is None else {split_name(name) for name in plan.tables}
    taken = {schema: taken_names(connection, schema) for schema in {schema for schema, _ in named}}
    seen: set[tuple[Table, frozenset[str]]] = set()
    for key in unled_foreign_keys(connection):
        table = (key.schema, key.table_name)
        if table not in wanted or (table, frozenset(key.columns)) in seen:
            continue
        seen.add((table, frozenset(key.columns)))
        name = free_name((key.table_name, *key.columns), "idx", taken[key.schema])
        taken[key.schema].add(name)
        yield AddedIndex(table=table, name=name, columns=key.columns)
    # When the step has run, they are known by the names that it gives.
    by_oid = {table.oid: name for name, table in named.items() if name in wanted}
    for led in read_foreign_keys(connection, list(by_oid)):
        if led.table_oid not in by_oid:
            continue
        for index in prisma.read_live_indexes(connection, [led.table_oid]):
            if _made_for(index, led.columns) and _named_by_step(rule, by_oid[led.table_oid], led.columns, index.name):
                yield AddedIndex(table=by_oid[led.table_oid], name=index.name, columns=led.columns)


def _named_by_step(rule: MappingsPlan | None, table: Table, columns: Sequence[str], name: str) -> bool:
    """Whether step 02 would give this name: by the names of now, or by those of before step 07, which indexes keep."""
    given = free_name((table[1], *columns), "idx", ()).removesuffix("_idx")
    if name.startswith(given) or rule is None:
        return name.startswith(given)
    parts = re.sub(r"_idx\d*$", "", name).split("_")
    cut_off = len(name.encode()) >= LONGEST_NAME_BYTES
    for cuts in combinations(range(1, len(parts)), len(columns)):
        ends = (*cuts, len(parts))
        old, *olds = ("_".join(parts[start:end]) for start, end in zip((0, *cuts), ends, strict=True))
        if rule.table_to(table[0], old) != table[1]:
            continue
        now = [rule.column_to(table[0], old, column) for column in olds]
        if now == list(columns) or (cut_off and now[:-1] == list(columns[:-1]) and columns[-1].startswith(now[-1])):
            return True
    return False


def _made_for(index: LiveIndex, columns: tuple[str, ...]) -> bool:
    return index.columns == columns and index.plain and not index.is_unique and index.method == "btree"


def _enum(connection: Connection, enum: EnumPlan) -> Iterator[Change]:
    name = (enum.table_schema, enum.name)
    present = enum_labels(connection, *name)
    renamed = tuple(enum.rename.items())
    yield EnumValues(enum=name, labels=after_step(present, enum), renamed=renamed)
    if renamed:
        yield RenamedEnum(enum=name, labels=renamed)
