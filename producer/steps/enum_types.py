"""The enum types that a plan's columns become: those that are there, and those that step 05 will make or change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from psycopg.sql import SQL

from producer.steps import enums
from replank.plan.plan import Plan
from replank.plan.steps.steps_plan import EnumPlan
from replank.plan.tables.table_plan import TablePlan
from replank.plan.text.plan_words import split_name
from replank.values.steps import STEPS
from sql.catalogue.relations import enum_labels
from sql.scripts.script_templates import render
from sql.session.connection import Connection, value

STEP = STEPS[4]


@dataclass(frozen=True, kw_only=True)
class EnumType:
    """An enum type as it is when the tables are rebuilt. No `labels`: there will be no such enum.

    `spelled` is its name as `format_type` writes it.
    """

    spelled: str
    labels: tuple[str, ...]


def enum_types(connection: Connection, plan: Plan) -> dict[str, EnumType]:
    """Every enum type that a column of the plan becomes, by the name that the plan gives it."""
    made = {(enum.table_schema, enum.name): enum for enum in plan.steps.enums}
    found: dict[str, EnumType] = {}
    for name in (c.type for table in plan.tables for c in table.columns if c.type is not None):
        schema, bare = split_name(name)
        spelled = value(connection, SQL("SELECT pg_catalog.format('%I.%I', {}::text, {}::text)").format(schema, bare))
        present = enum_labels(connection, schema, bare)
        found[name] = EnumType(spelled=str(spelled), labels=after_step(present, made.get((schema, bare))))
    return found


def after_step(present: tuple[str, ...] | None, planned: EnumPlan | None) -> tuple[str, ...]:
    """The values of a type when step 05 has run, which may have been already."""
    if planned is None:
        return present or ()
    if present is None:
        return planned.values
    renamed = tuple(planned.rename.get(label, label) for label in present)
    # As the step adds them: what is a name from before a rename is no new value.
    return (*renamed, *(label for label in planned.values if label not in {*renamed, *planned.rename}))


def enum_mistakes(planned: TablePlan, types: Mapping[str, EnumType]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where the plan says of an enum what its type does not have, and what."""
    for n, column in enumerate(planned.columns):
        if column.type is None:
            continue
        enum = types[column.type]
        if not enum.labels:
            words = f"enum {column.type} does not exist, and [[steps.enums]] does not create it"
            yield ("columns", n, "type"), words
            continue
        for text, label in column.map.items():
            if label not in enum.labels:
                yield ("columns", n, "map"), f"{column.type} has no value {label}"
            if text in enum.labels:
                yield ("columns", n, "map"), f"{text} is a value of {column.type} already, so it cannot be mapped"


def make_types(connection: Connection, plan: Plan) -> None:
    """In a transaction that is rolled back: the types as step 05 will have made them, where it has not yet.

    Values that a type gets in this transaction cannot be used in it. Raises WrongUse where the step does not fit.
    """
    missing = []
    for enum in plan.steps.enums:
        present = enum_labels(connection, enum.table_schema, enum.name)
        if after_step(present, enum) != present:
            missing.append(enum)
    for block in render(STEP.name, enums.facts(connection, tuple(missing))):
        connection.execute(block.sql.encode())
