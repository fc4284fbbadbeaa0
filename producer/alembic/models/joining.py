"""Models and tables of a database, found for each other, with what only the models know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from producer.alembic.models.models import Models, ModelTable, Relationship
from producer.history.changes.changes import Table
from sql.catalogue.alembic import VERSION_TABLE
from sql.catalogue.catalogue import ForeignKey, LiveTable

Column = tuple[str, str, str]
"""Schema, table and column."""

Link = tuple[Column, Column]


@dataclass(frozen=True, kw_only=True)
class KeylessRelationship:
    """A relationship of the models for which the database has no foreign key. Both columns convert together."""

    model: str
    name: str
    column: Column
    to: Column


@dataclass(frozen=True, kw_only=True)
class JoinedTable:
    """A table of the models. `found` is false where the database has none; `mismatches` are for people.

    `texts_of_uuids` are columns that the models call texts and that hold only uuids; `python_defaults` maps columns to
    what makes their values in Python, which the database does not know.
    """

    table: Table
    found: bool
    models: tuple[str, ...]
    mismatches: tuple[str, ...]
    keyless: tuple[KeylessRelationship, ...]
    texts_of_uuids: tuple[str, ...]
    python_defaults: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "schema": self.table[0], "table": self.table[1]}


@dataclass(frozen=True, kw_only=True)
class JoinedModels:
    """All tables of the models, and the database's tables that no model stands for, without Alembic's own."""

    tables: tuple[JoinedTable, ...]
    without_model: tuple[Table, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "tables": [table.to_json() for table in self.tables],
            "without_model": [{"schema": schema, "table": name} for schema, name in self.without_model],
        }


def join_models(
    models: Models,
    tables: Sequence[LiveTable],
    keys: Iterable[ForeignKey],
    uuids: Collection[Column],
    default_schema: str,
) -> JoinedModels:
    """By their names. `uuids` are columns of text that hold only uuids. Partitions belong to their table."""
    whole = {(table.schema, table.name): table for table in tables if not table.is_partition}
    known = models.by_table(default_schema)
    links = set(_links(keys))
    joined = [_joined(named, model, whole.get(named), links, uuids, default_schema) for named, model in known.items()]
    others = [named for named in whole if named not in known and named[1] != VERSION_TABLE]
    return JoinedModels(tables=tuple(joined), without_model=tuple(others))


def _links(keys: Iterable[ForeignKey]) -> Iterator[Link]:
    for key in keys:
        for column, ref in zip(key.columns, key.ref_columns, strict=True):
            yield (key.schema, key.table_name, column), (key.ref_schema, key.ref_table, ref)


def _joined(
    named: Table,
    model: ModelTable,
    live: LiveTable | None,
    links: Collection[Link],
    uuids: Collection[Column],
    default_schema: str,
) -> JoinedTable:
    return JoinedTable(
        table=named,
        found=live is not None,
        models=tuple(one.name for one in model.models),
        mismatches=() if live is None else tuple(_mismatches(model, live)),
        keyless=tuple(
            found
            for one in model.models
            for relationship in one.relationships
            for found in _keyless(one.name, relationship, links, default_schema)
        ),
        texts_of_uuids=tuple(
            column.name for column in model.columns if column.is_text and (*named, column.name) in uuids
        ),
        python_defaults={column.name: column.default for column in model.columns if column.default is not None},
    )


def _mismatches(model: ModelTable, live: LiveTable) -> Iterator[str]:
    for column in model.columns:
        found = live.column(column.name)
        if found is None:
            yield f"{column.name}: the table has no such column"
        elif column.nullable == found.not_null:
            yield f"{column.name}: its column {'may not be NULL' if found.not_null else 'may be NULL'}"
        elif column.is_text and found.type in ("uuid", "uuid[]"):
            yield f"{column.name} {column.type}: its column is {found.type}"
    for found in live.columns:
        if model.column(found.name) is None:
            yield f"column {found.name} ({found.type}): the model has none"


def _keyless(
    model: str, relationship: Relationship, links: Collection[Link], default_schema: str
) -> Iterator[KeylessRelationship]:
    for pair in relationship.pairs:
        ends = [_column(end, default_schema) for end in pair]
        if ends[0] is None or ends[1] is None:
            continue
        if (ends[0], ends[1]) not in links and (ends[1], ends[0]) not in links:
            yield KeylessRelationship(model=model, name=relationship.name, column=ends[0], to=ends[1])


def _column(end: tuple[str | None, ...], default_schema: str) -> Column | None:
    """None for an end that is no table's column, e.g. of a subquery."""
    if len(end) != 3 or end[1] is None or end[2] is None:
        return None
    return end[0] or default_schema, end[1], end[2]
