"""What Prisma's schema file and migration history have to do with the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Identifier, Literal

from sql.session.connection import Connection, apply_settings, row, rows, run, value
from sql.session.named_queries import query
from sql.session.table_names import server_text

HISTORY = "_prisma_migrations"
"""The table of Prisma's migration history."""

NORMALIZED = Identifier("pg_temp", "replank_normalized")


@dataclass(frozen=True, kw_only=True)
class LiveIndex:
    """An index as it is. `columns` is None where it is over an expression; `usual` where nothing but them is said.

    `constraint_type` is `p`, `u`, `x`, or None; `definition` and `constraint_definition` are the server's.
    """

    oid: int
    name: str
    is_primary: bool
    is_unique: bool
    constraint_type: str | None
    method: str
    partial: bool
    usual: bool
    columns: tuple[str, ...] | None
    definition: str
    constraint_definition: str | None

    @property
    def plain(self) -> bool:
        """Whether Prisma can say all of it: columns, method, name."""
        return self.columns is not None and self.usual and not self.partial and self.constraint_type != "x"


@dataclass(frozen=True, kw_only=True)
class Normalized:
    """A column as the server spells it. `default` is empty where it has none."""

    type: str
    enum: bool
    default: str


@dataclass(frozen=True, kw_only=True)
class LiveView:
    schema: str
    name: str
    materialized: bool
    definition: str


@dataclass(frozen=True, kw_only=True)
class OwnedSequence:
    schema: str
    name: str
    column: str


@contextmanager
def every_schema_named(connection: Connection) -> Iterator[None]:
    """The server spells every name with its schema here. What is done inside is rolled back."""
    with connection.transaction(force_rollback=True):
        apply_settings(connection, {"search_path": ""}, local=True)
        yield


def as_server_quotes(connection: Connection, name: str) -> str:
    """A name in quotes only where it needs them, as it stands in definitions."""
    return str(value(connection, SQL("SELECT pg_catalog.quote_ident({})").format(name)))


def read_live_indexes(connection: Connection, oids: Iterable[int]) -> list[LiveIndex]:
    """The indexes of these tables, each table's primary key first."""
    found = rows(connection, query("prisma.indexes"), {"oids": list(oids)})
    return [LiveIndex(**{**r, "columns": None if r["columns"] is None else tuple(r["columns"])}) for r in found]


@dataclass(frozen=True, kw_only=True)
class DefinedIndex:
    """An index as the server spells it, and the constraint that stands on it."""

    name: str
    definition: str
    constraint_definition: str | None


def read_conditional_indexes(connection: Connection, oid: int, columns: Sequence[str]) -> list[DefinedIndex]:
    """The indexes of a table with a condition or an expression that speak of any of these columns."""
    found = rows(connection, query("prisma.conditional_indexes"), {"oid": oid, "columns": list(columns)})
    return [DefinedIndex(**r) for r in found]


def read_enums(connection: Connection) -> dict[tuple[str, str], tuple[str, ...]]:
    """(schema, name) -> labels in order."""
    found = rows(connection, query("prisma.enums"))
    return {(r["schema"], r["name"]): tuple(r["labels"]) for r in found}


def read_views_over(connection: Connection, oids: Sequence[int]) -> list[LiveView]:
    """The views over these tables, those that others read first."""
    return [LiveView(**r) for r in rows(connection, query("prisma.views"), {"oids": list(oids)})]


def view_oid(connection: Connection, schema: str, name: str) -> int | None:
    """None where there is no such view."""
    asked = SQL("SELECT to_regclass(format('%I.%I', {}::text, {}::text))::oid::bigint AS oid").format(schema, name)
    found: int | None = value(connection, asked)
    return found


def view_definition(connection: Connection, oid: int) -> str:
    return str(value(connection, SQL("SELECT pg_get_viewdef({}::oid)").format(oid)))


def read_owned_sequences(connection: Connection, oid: int) -> list[OwnedSequence]:
    return [OwnedSequence(**r) for r in rows(connection, query("prisma.sequences"), {"oid": oid})]


def enum_columns(connection: Connection, oid: int) -> frozenset[str]:
    """The columns whose type is an enum, or an array of one."""
    return frozenset(r["name"] for r in rows(connection, query("prisma.enum_types"), {"oid": oid}))


def normalize_column(connection: Connection, column_type: str, default: str) -> Normalized:
    """Type and default as the server would spell them. Leaves nothing behind.

    Raises psycopg.errors.DatabaseError where the server does not understand them.
    """
    given = SQL("DEFAULT {}").format(server_text(default)) if default else SQL("")
    with connection.transaction(force_rollback=True):
        run(
            connection,
            SQL("CREATE TEMPORARY TABLE {} (normalized {} {})").format(NORMALIZED, server_text(column_type), given),
        )
        return Normalized(**(row(connection, query("prisma.normalized_column")) or {}))


def normalized_index(
    connection: Connection,
    table: tuple[str, str],
    *,
    name: str,
    columns: Sequence[str],
    include: Sequence[str],
    where: str,
    unique: bool,
) -> str:
    """The definition that an index with a condition will have on a table. Leaves nothing behind.

    Raises psycopg.errors.DatabaseError where the server does not understand it.
    """
    comma = SQL(", ")
    made = SQL("CREATE {}INDEX {} ON {} ({}){} WHERE {}").format(
        SQL("UNIQUE " if unique else ""),
        Identifier(name),
        NORMALIZED,
        comma.join(map(Identifier, columns)),
        SQL(" INCLUDE ({})").format(comma.join(map(Identifier, include))) if include else SQL(""),
        server_text(where),
    )
    with connection.transaction(force_rollback=True):
        run(connection, SQL("CREATE TEMPORARY TABLE {} (LIKE {})").format(NORMALIZED, Identifier(*table)))
        run(connection, made)
        asked = query("prisma.normalized_index").format(table=Literal(Identifier(*table).as_string(None)))
        return str(value(connection, asked))


def normalized_view(connection: Connection, select: Composable) -> str:
    """What a view's definition will be, as the server spells it. Leaves nothing behind."""
    with connection.transaction(force_rollback=True):
        run(connection, SQL("CREATE TEMPORARY VIEW {} AS {}").format(NORMALIZED, select))
        return str(value(connection, SQL("SELECT pg_get_viewdef('pg_temp.replank_normalized'::regclass)")))


def has_history(connection: Connection, schema: str) -> bool:
    """Whether Prisma keeps a migration history in this schema."""
    return bool(value(connection, query("prisma.has_history"), {"schema": schema}))


def recorded(connection: Connection, schema: str) -> dict[str, Any]:
    """Migration name -> checksum, of all that were finished and not rolled back."""
    asked = SQL(
        "SELECT migration_name, checksum FROM {} WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"
    ).format(Identifier(schema, HISTORY))
    return {r["migration_name"]: r["checksum"] for r in rows(connection, asked)}


def baseline(schema: str | None, *, row_id: str, name: str, checksum: str) -> Composable:
    """The row that says a migration is done; a second one is not made."""
    table = Identifier(schema, HISTORY) if schema else Identifier(HISTORY)
    return SQL(
        "INSERT INTO {0} (id, checksum, finished_at, migration_name, started_at, applied_steps_count)\n"
        "SELECT {1}, {2}, now(), {3}, now(), 1\n"
        " WHERE NOT EXISTS (SELECT FROM {0} WHERE migration_name = {3} AND rolled_back_at IS NULL)"
    ).format(table, Literal(row_id), Literal(checksum), Literal(name))
