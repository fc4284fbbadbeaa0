"""Step 02: indexes for foreign keys that have none, and the plan's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from replank.errors import WrongUse
from replank.plan.steps.steps_plan import IndexesPlan, IndexPlan
from replank.plan.text.plan_words import split_name
from sql.catalogue.relations import (
    NamedTable,
    free_name,
    leaves,
    levels,
    looked_up,
    read_relations,
    taken_names,
    unled_foreign_keys,
)
from sql.scripts import script_templates
from sql.session.connection import Connection


def facts(connection: Connection, plan: IndexesPlan) -> Mapping[str, Any]:
    """What the templates of step 02 need. Raises WrongUse for tables and columns that are not there."""
    tables = read_relations(connection)
    mistakes = [f"table {name} does not exist" for name in looked_up(tables, plan.tables or ())[1]]
    taken = {schema: taken_names(connection, schema) for schema in {table.schema for table in tables.values()}}
    made: list[Mapping[str, Any]] = []
    wanted = {".".join(split_name(name)) for name in plan.tables or tables}
    seen: set[tuple[str, frozenset[str]]] = set()
    for key in unled_foreign_keys(connection) if plan.foreign_keys else ():
        full_name = f"{key.schema}.{key.table_name}"
        if full_name not in wanted or (full_name, frozenset(key.columns)) in seen:
            continue
        seen.add((full_name, frozenset(key.columns)))
        name = free_name((key.table_name, *key.columns), "idx", taken[key.schema])
        index = IndexPlan(name=name, table=full_name, columns=key.columns)
        made.append(_facts(connection, tables[full_name], index, taken, f"foreign key {key.name}"))
    for index in plan.add:
        found, unknown = looked_up(tables, [index.table])
        mistakes += [f"index {index.name}: table {name} does not exist" for name in unknown]
        for table in found:
            wrong = _mistakes(table, index, taken[table.schema])
            mistakes += wrong
            if not wrong:
                made.append(_facts(connection, table, index, taken, "the plan's own"))
    if mistakes:
        raise WrongUse("steps.indexes: " + "; ".join(mistakes))
    return {"indexes": made}


def _mistakes(table: NamedTable, index: IndexPlan, taken: set[str]) -> list[str]:
    missing = [column for column in (*index.columns, *index.include) if column not in table.columns]
    wrong = [f"index {index.name}: table {table.full_name} has no column {column}" for column in missing]
    if index.name in taken:
        wrong.append(f"index {index.name}: schema {table.schema} has a relation of this name already")
    return wrong


def _facts(
    connection: Connection, table: NamedTable, index: IndexPlan, taken: dict[str, set[str]], why: str
) -> Mapping[str, Any]:
    """`taken` are the names in use by schema; those that are given here come in."""
    taken[table.schema].add(index.name)
    if table.partitioned and levels(connection, table) > 1:
        raise WrongUse(
            f"steps.indexes: {table.full_name} has partitions of partitions: write index {index.name} by hand"
        )
    include = f" INCLUDE ({script_templates.names(index.include)})" if index.include else ""
    where = f" WHERE {index.where}" if index.where else ""
    parts: list[Mapping[str, Any]] = []
    for schema, name in _leaves(connection, table):
        if schema not in taken:
            taken[schema] = taken_names(connection, schema)
        of_part = free_name((name, *index.columns), "idx", taken[schema])
        taken[schema].add(of_part)
        parts.append(_named(schema, name, of_part))
    return {
        **_named(table.schema, table.name, index.name),
        "why": script_templates.as_written(why),
        "unique": script_templates.as_written("UNIQUE " if index.unique else ""),
        "columns": script_templates.names(index.columns),
        "rest": script_templates.as_written(include + where),
        "partitions": parts,
    }


def _leaves(connection: Connection, table: NamedTable) -> Sequence[tuple[str, str]]:
    return leaves(connection, table) if table.partitioned else ()


def _named(schema: str, table: str, index: str) -> Mapping[str, Any]:
    full = script_templates.name(schema, index)
    return {
        "said": script_templates.as_written(f"{index} on {schema}.{table}".replace("\n", " ")),
        "name": script_templates.name(index),
        "full_name": full,
        "regclass": script_templates.text(full),
        "table": script_templates.name(schema, table),
    }
