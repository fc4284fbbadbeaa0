"""What steps ask of the catalogue: tables by name, their keys, their partitions, names that are taken."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from psycopg import errors

from replank.names import joined_name
from replank.plan.text.plan_words import split_name
from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class NamedTable:
    """A table by its name. `key` is its primary key, empty where it has none."""

    schema: str
    name: str
    oid: int
    partitioned: bool
    key: tuple[str, ...]
    columns: tuple[str, ...]
    update_triggers: bool

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class UnledKey:
    """A foreign key that no index leads with."""

    schema: str
    table_name: str
    name: str
    columns: tuple[str, ...]


def read_relations(connection: Connection) -> dict[str, NamedTable]:
    """Every table of the application by `schema.table`. A partition belongs to its parent and has no entry."""
    found = [
        NamedTable(**{**r, "key": tuple(r["key"]), "columns": tuple(r["columns"])})
        for r in rows(connection, query("steps.relations"))
    ]
    return {table.full_name: table for table in found}


def looked_up(tables: Mapping[str, NamedTable], names: Iterable[str]) -> tuple[list[NamedTable], list[str]]:
    """The tables of these names, and the names that no table has."""
    full = [".".join(split_name(name)) for name in names]
    return [tables[name] for name in full if name in tables], [name for name in full if name not in tables]


def unled_foreign_keys(connection: Connection) -> list[UnledKey]:
    return [
        UnledKey(**{**r, "columns": tuple(r["columns"])}) for r in rows(connection, query("steps.unled_foreign_keys"))
    ]


def leaves(connection: Connection, table: NamedTable) -> list[tuple[str, str]]:
    """Schema and name of each partition that stores rows."""
    return [(r["schema"], r["name"]) for r in rows(connection, query("steps.leaves"), {"oid": table.oid})]


def levels(connection: Connection, table: NamedTable) -> int:
    """How many levels of partitions a table has."""
    return int(value(connection, query("steps.deepest"), {"oid": table.oid}))


def taken_names(connection: Connection, schema: str) -> set[str]:
    return {r["relname"] for r in rows(connection, query("steps.names"), {"schema": schema})}


def schema_exists(connection: Connection, schema: str) -> bool:
    return bool(value(connection, query("steps.schema_exists"), {"schema": schema}))


def enum_labels(connection: Connection, schema: str, name: str) -> tuple[str, ...] | None:
    """The values of an enum type, None where no type has this name; another kind of type has none."""
    found = row(connection, query("steps.enum"), {"schema": schema, "name": name})
    return None if found is None else tuple(found["labels"])


def free_name(parts: Iterable[str], ending: str, taken: Container[str]) -> str:
    """`table_column_ending`, numbered where it is taken."""
    stem = tuple(parts)
    for number in range(1_000):
        name = joined_name(*stem, ending=f"_{ending}{number or ''}")
        if name not in taken:
            return name
    raise AssertionError("a thousand indexes of one name")


def same_type(connection: Connection, one: str, other: str) -> bool:
    """Whether two texts name one type, its length and precision included; False where one names none."""
    try:
        with connection.transaction():
            return bool(value(connection, query("relations.same_type"), {"one": one, "other": other}))
    except errors.SyntaxError:
        return False
