"""Text columns that hold few values: what an enum would say of them. Proposed as comments, because only people know
whether there will ever be another value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from replank.names import joined_name
from replank.wording import counted
from sql.catalogue.catalogue import LiveTable
from sql.catalogue.prisma import HISTORY, read_enums
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

MOST_VALUES = 20
LEAST_ROWS = 100
"""Fewer rows do not show that they hold all values."""

_WORDS = re.compile(r"^[A-Za-z][\w .:/-]{0,40}$")


@dataclass(frozen=True, kw_only=True)
class ProposedEnum:
    """A column and the values that it holds. `type` is `schema.name`; `there` says that such a type exists."""

    schema: str
    table: str
    column: str
    type: tuple[str, str]
    there: bool
    values: tuple[str, ...]


def few_values(
    connection: Connection, tables: Iterable[LiveTable], taken: Iterable[tuple[int, str]]
) -> list[ProposedEnum]:
    """What the statistics know: nothing of tables that were never analysed. `taken` columns become something else."""
    by_oid = {table.oid: table for table in tables}
    others = set(taken)
    enums = read_enums(connection)
    asked = {"oids": list(by_oid), "most": MOST_VALUES, "rows": LEAST_ROWS}
    found: list[ProposedEnum] = []
    for each in rows(connection, query("inspection.few_values"), asked):
        table, values = by_oid[each["oid"]], tuple(sorted(each["values"]))
        if not table.key or table.name == HISTORY:
            continue
        if (table.oid, each["name"]) in others or not all(_WORDS.match(value) for value in values):
            continue
        there = _that_has(enums, table.schema, values)
        found.append(
            ProposedEnum(
                schema=table.schema,
                table=table.name,
                column=each["name"],
                type=there or (table.schema, joined_name(_snake(table.name), _snake(each["name"]))),
                there=there is not None,
                values=values,
            )
        )
    return found


def _that_has(
    enums: Mapping[tuple[str, str], tuple[str, ...]], schema: str, values: tuple[str, ...]
) -> tuple[str, str] | None:
    """An enum type of that schema with just these values."""
    return next((name for name, labels in enums.items() if name[0] == schema and set(labels) == set(values)), None)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def enum_lines(enums: Iterable[ProposedEnum]) -> Iterator[tuple[str, ...]]:
    """For each the words about it and the lines of a plan, as `(words, line, line, …)`; the caller writes comments."""
    for enum in enums:
        named = f'"{enum.type[1]}"' if enum.type[0] == "public" else f'"{enum.type[0]}.{enum.type[1]}"'
        words = (
            f"{enum.schema}.{enum.table}.{enum.column} holds {counted(len(enum.values), 'value')}: "
            f"{', '.join(enum.values)}"
        )
        listed = ", ".join(f'"{value}"' for value in enum.values)
        made = ["[[steps.enums]]", f'schema = "{enum.type[0]}"', f'name = "{enum.type[1]}"', f"values = [{listed}]"]
        column = f'{{ name = "{enum.column}", to = "enum", type = {named} }}'
        yield (words, *([] if enum.there else made), f"and among the columns of table {enum.table}: {column}")
