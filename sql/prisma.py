"""What Prisma's schema file and migration history have to do with the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from sql.connection import Connection, row, rows, run, value
from sql.named import query
from sql.next_table import server_text

HISTORY = "_prisma_migrations"
"""The table of Prisma's migration history."""

SETTLED = sql.Identifier("pg_temp", "replank_settled")


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
class Settled:
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


def read_live_indexes(connection: Connection, oids: Iterable[int]) -> list[LiveIndex]:
    """The indexes of these tables, each table's primary key first."""
    found = rows(connection, query("prisma.indexes"), {"oids": list(oids)})
    return [LiveIndex(**{**r, "columns": None if r["columns"] is None else tuple(r["columns"])}) for r in found]


def read_enums(connection: Connection) -> dict[tuple[str, str], tuple[str, ...]]:
    """(schema, name) -> labels in order."""
    found = rows(connection, query("prisma.enums"))
    return {(r["schema"], r["name"]): tuple(r["labels"]) for r in found}


def read_views_over(connection: Connection, oids: Sequence[int]) -> list[LiveView]:
    """The views over these tables, those that others read first."""
    return [LiveView(**r) for r in rows(connection, query("prisma.views"), {"oids": list(oids)})]


def read_owned_sequences(connection: Connection, oid: int) -> list[OwnedSequence]:
    return [OwnedSequence(**r) for r in rows(connection, query("prisma.sequences"), {"oid": oid})]


def enum_columns(connection: Connection, oid: int) -> frozenset[str]:
    """The columns whose type is an enum, or an array of one."""
    return frozenset(r["name"] for r in rows(connection, query("prisma.enum_types"), {"oid": oid}))


def settle(connection: Connection, column_type: str, default: str) -> Settled:
    """Type and default as the server would spell them. Leaves nothing behind.

    Raises psycopg.errors.DatabaseError where the server does not understand them.
    """
    given = sql.SQL("DEFAULT {}").format(server_text(default)) if default else sql.SQL("")
    with connection.transaction(force_rollback=True):
        run(
            connection,
            sql.SQL("CREATE TEMPORARY TABLE {} (settled {} {})").format(SETTLED, server_text(column_type), given),
        )
        return Settled(**(row(connection, query("prisma.settled_column")) or {}))


def has_history(connection: Connection, schema: str) -> bool:
    """Whether Prisma keeps a migration history in this schema."""
    return bool(value(connection, query("prisma.has_history"), {"schema": schema}))


def recorded(connection: Connection, schema: str) -> dict[str, Any]:
    """Migration name -> checksum, of all that were finished and not rolled back."""
    asked = sql.SQL(
        "SELECT migration_name, checksum FROM {} WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"
    ).format(sql.Identifier(schema, HISTORY))
    return {r["migration_name"]: r["checksum"] for r in rows(connection, asked)}


def baseline(schema: str | None, *, row_id: str, name: str, checksum: str) -> sql.Composable:
    """The row that says a migration is done; a second one is not made."""
    table = sql.Identifier(schema, HISTORY) if schema else sql.Identifier(HISTORY)
    return sql.SQL(
        "INSERT INTO {0} (id, checksum, finished_at, migration_name, started_at, applied_steps_count)\n"
        "SELECT {1}, {2}, now(), {3}, now(), 1\n"
        " WHERE NOT EXISTS (SELECT FROM {0} WHERE migration_name = {3} AND rolled_back_at IS NULL)"
    ).format(table, sql.Literal(row_id), sql.Literal(checksum), sql.Literal(name))
