"""Models of a schema file and tables of a database, found for each other; what does not fit is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from producer.prisma.schema.document import Block, Document, Field
from producer.prisma.schema.schema_names import Table, column_of, columns, field_of, join_tables, table_of
from producer.prisma.schema.types import prisma_type
from sql.catalogue.catalogue import LiveColumn, LiveTable
from sql.catalogue.prisma import HISTORY


@dataclass(frozen=True, kw_only=True)
class Match:
    """A model and its table. `table` is None where the database has none; `mismatches` are for people."""

    model: str
    named: Table
    table: LiveTable | None
    mismatches: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Matched:
    """All models, the tables that are Prisma's own, and the tables that no model stands for."""

    models: tuple[Match, ...]
    join_tables: tuple[Table, ...]
    history: tuple[Table, ...]
    strangers: tuple[Table, ...]

    @property
    def missing(self) -> tuple[Match, ...]:
        return tuple(match for match in self.models if match.table is None)

    def to_json(self) -> dict[str, Any]:
        return {
            "models": [
                {
                    "model": match.model,
                    "schema": match.named[0],
                    "table": match.named[1],
                    "found": match.table is not None,
                    "mismatches": list(match.mismatches),
                }
                for match in self.models
            ],
            "join_tables": [{"schema": schema, "table": name} for schema, name in self.join_tables],
            "without_model": [{"schema": schema, "table": name} for schema, name in self.strangers],
        }


def match(document: Document, tables: list[LiveTable], default_schema: str) -> Matched:
    """Models and tables by their names in the database. Partitions belong to their table."""
    whole = {(table.schema, table.name): table for table in tables if not table.is_partition}
    models = [_match(document, block, whole, default_schema) for block in document.models]
    joins = {one.table for one in join_tables(document, default_schema)}
    named = {one.named for one in models}
    others = [table for table in whole if table not in named]
    return Matched(
        models=tuple(models),
        join_tables=tuple(table for table in others if table in joins),
        history=tuple(table for table in others if table[1] == HISTORY),
        strangers=tuple(table for table in others if table not in joins and table[1] != HISTORY),
    )


def _match(document: Document, block: Block, tables: dict[Table, LiveTable], default_schema: str) -> Match:
    named = table_of(block, default_schema)
    table = tables.get(named)
    if table is None:
        return Match(model=block.name, named=named, table=None)
    return Match(model=block.name, named=named, table=table, mismatches=tuple(_mismatches(document, block, table)))


def _mismatches(document: Document, block: Block, table: LiveTable) -> Iterator[str]:
    for field in columns(document, block):
        live = table.column(column_of(field))
        if live is None:
            yield f"field {field.name}: the table has no column {column_of(field)}"
        else:
            yield from _differing(document, field, live)
    for live in table.columns:
        if field_of(document, block, live.name) is None:
            yield f"column {live.name} ({live.type}): the model has no field for it"


def _differing(document: Document, field: Field, live: LiveColumn) -> Iterator[str]:
    if field.arity != "[]" and (field.arity == "?") == live.not_null:
        said = "may not be NULL" if live.not_null else "may be NULL"
        yield f"field {field.name}{field.arity}: its column {said}"
    if document.block(field.type) is not None or field.type.startswith("Unsupported"):
        return
    scalar, arity, native = prisma_type(live.type)
    wanted = field.native_type
    kind = wanted.name.partition(".")[2] if wanted else ""
    present = native.name.partition(".")[2] if native else ""
    same_native = kind == present or {kind, present} <= _SAME.get(field.type, set())
    if (scalar, arity == "[]") != (field.type, field.arity == "[]") or not same_native:
        said = f"{field.type}{field.arity}" + (f" @{wanted}" if wanted else "")
        yield f"field {field.name} {said}: its column is {live.type}"


_SAME = {
    "String": {"", "Text"},
    "Int": {"", "Integer"},
    "BigInt": {"", "BigInt"},
    "Float": {"", "DoublePrecision"},
    "Boolean": {"", "Boolean"},
    "Json": {"", "JsonB"},
    "Bytes": {"", "ByteA"},
    "DateTime": {"", "Timestamp"},
    "Decimal": {"", "Decimal"},
}
"""Native types that a scalar has by itself (their precision is Prisma's to compare)."""
