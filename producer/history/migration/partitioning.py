"""A table with the partitions that the live one has, made offline of a plain one: part of the migration script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from replank.errors import WrongUse
from replank.names import joined_name
from sql.catalogue import prisma
from sql.catalogue.catalogue import LiveTable, partition_key, partitions
from sql.session.connection import Connection
from sql.session.table_names import server_text

ENDING = "_before_replank"


@dataclass(frozen=True, kw_only=True)
class Named:
    """How relations are written: bare in the schema that Prisma's connection leads to, in full elsewhere."""

    default_schema: str

    def __call__(self, schema: str, name: str) -> Identifier:
        return Identifier(name) if schema == self.default_schema else Identifier(schema, name)


def relaid(connection: Connection, table: LiveTable, named: Named) -> list[Composable]:
    """Statements that make the table anew as the live one is partitioned, with its rows, keys and indexes.

    Raises WrongUse if the live table is not partitioned: where partitions end is known only when they are there.
    """
    by = partition_key(connection, table.oid)
    if not by:
        raise WrongUse(
            f"{table.full_name} is not partitioned yet: run the plan first, its partitions belong into the migration."
        )
    new = named(table.schema, table.name)
    old_name = joined_name(table.name, ending=ENDING)
    old = named(table.schema, old_name)
    return [
        SQL("ALTER TABLE {} RENAME TO {}").format(new, Identifier(old_name)),
        SQL("CREATE TABLE {} (LIKE {} {}) PARTITION BY {}").format(new, old, _LIKE, server_text(by)),
        *_parts(connection, table, named),
        *_owned(connection, table, named),
        _rows(table, new, old),
        SQL("DROP TABLE {} CASCADE").format(old),
        *_indexes(connection, table, new),
    ]


_LIKE = SQL(
    "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING IDENTITY INCLUDING STORAGE "
    "INCLUDING COMMENTS"
)


def _parts(connection: Connection, table: LiveTable, named: Named) -> Iterator[Composable]:
    found = partitions(connection, table.oid)
    by_oid = {part.oid: named(part.schema, part.name) for part in found}
    by_oid[table.oid] = named(table.schema, table.name)
    for part in found:
        by = SQL(" PARTITION BY {}").format(server_text(part.partitioned_by)) if part.partitioned_by else SQL("")
        yield SQL("CREATE TABLE {} PARTITION OF {} {}{}").format(
            by_oid[part.oid], by_oid[part.parent], server_text(part.bound), by
        )


def _owned(connection: Connection, table: LiveTable, named: Named) -> Iterator[Composable]:
    """Sequences change their owner, so that they outlive the old table."""
    for sequence in prisma.read_owned_sequences(connection, table.oid):
        column = SQL("{}.{}").format(named(table.schema, table.name), Identifier(sequence.column))
        yield SQL("ALTER SEQUENCE {} OWNED BY {}").format(named(sequence.schema, sequence.name), column)


def _rows(table: LiveTable, new: Identifier, old: Identifier) -> Composable:
    columns = SQL(", ").join(Identifier(column.name) for column in table.columns if not column.generated)
    return SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}").format(new, columns, columns, old)


def _indexes(connection: Connection, table: LiveTable, new: Identifier) -> Iterator[Composable]:
    for index in prisma.read_live_indexes(connection, [table.oid]):
        if index.constraint_definition is None:
            yield server_text(index.definition)
            continue
        yield SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            new, Identifier(index.name), server_text(index.constraint_definition)
        )
