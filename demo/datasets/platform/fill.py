"""Fills the platform at any size, set-based: one INSERT … SELECT for each table, no row ever comes to Python.

Indexes and foreign keys are taken away first and made again at the end, which reads every row once and so proves
that they hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from demo.datasets.platform.shape import Column, Table, read_shape
from demo.datasets.platform.values import Values
from demo.datasets.platform.words import LEAST_ROWS, REFERS, SHARES, WORDS

Connection = psycopg.Connection[Any]

_TAKEN_AWAY = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)),
       CASE contype WHEN 'f' THEN 2 ELSE 0 END AS n
  FROM pg_constraint
 WHERE contype IN ('p', 'u', 'f') AND connamespace = 'public'::regnamespace
   AND conrelid::regclass::text NOT LIKE '\\_prisma%'
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid), 1
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE '\\_prisma%'
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = indexrelid AND k.contype <> 'f')
 ORDER BY n, 1
"""
"""How each key and index is taken away and made again: foreign keys are the first to go and the last to come."""

_SETTINGS = """
SET LOCAL search_path = public; SET LOCAL jit = off; SET LOCAL maintenance_work_mem = '256MB'
"""


def fill(connection: Connection, *, rows: int, seed: int = 1) -> dict[str, int]:
    """Fill the empty platform with about `rows` rows in all; the same `rows` and `seed` give the same content.

    Returns table -> rows. One transaction: a failure leaves the database empty.
    """
    with connection.transaction():
        connection.execute(_SETTINGS)
        tables = read_shape(connection)
        counts = _counts(tables, rows)
        taken = connection.execute(_TAKEN_AWAY).fetchall()
        for away, _, _n in sorted(taken, key=lambda found: -found[2]):
            connection.execute(away)
        values = Values(seed=seed, counts=counts, places=dict(_places(tables, counts)))
        for table in tables:
            connection.execute(_insert(table, values))
            for statement in _sequences(table, counts[table.name]):
                connection.execute(statement)
        for _, again, _ in taken:
            connection.execute(again)
        connection.execute("ANALYZE")
    return counts


def _insert(table: Table, values: Values) -> Composed:
    return SQL("INSERT INTO {} ({}) SELECT {} FROM generate_series(1::bigint, {}) AS g").format(
        Identifier(table.name),
        SQL(", ").join(Identifier(column.name) for column in table.columns),
        SQL(", ").join(values.of(table, column) for column in table.columns),
        Literal(values.counts[table.name]),
    )


def _sequences(table: Table, count: int) -> Iterator[Composed]:
    for column in table.columns:
        if column.sequence:
            yield SQL("SELECT setval({}::regclass, {})").format(Literal(column.sequence), Literal(count))


def _counts(tables: Sequence[Table], rows: int) -> dict[str, int]:
    """Each table's share, and no more rows than its keys have combinations."""
    wanted = {table.name: max(LEAST_ROWS, rows * SHARES.get(table.name, 1) // 1000) for table in tables}
    counts = dict(wanted)
    for table in tables:
        for group in _groups(table):
            most = 1
            for column in group:
                size = _size(table, column, wanted)
                most = most * size if size else counts[table.name] * most
            counts[table.name] = min(counts[table.name], most)
    return counts


def _groups(table: Table) -> Iterator[list[Column]]:
    """Unique keys that no column makes unique by itself: all are foreign keys, few words, numbers or days."""
    by_name = {column.name: column for column in table.columns}
    for over in table.unique:
        group = [by_name[name] for name in over]
        if not any(_is_unique(table, column) for column in group):
            yield group


def _is_unique(table: Table, column: Column) -> bool:
    """Whether every row has a value of its own there."""
    if column.parent is not None or f"{table.name}.{column.name}" in WORDS:
        return False
    if column.sequence or column.name in ("id", "uuid"):
        return True
    return column.type.startswith(("text", "character")) and column.name not in REFERS


def _size(table: Table, column: Column, counts: dict[str, int]) -> int:
    """How many values a column can have; 0 where there is no end."""
    if column.parent is not None:
        return counts[column.parent[0]]
    return len(WORDS.get(f"{table.name}.{column.name}", ()))


def _places(tables: Sequence[Table], counts: dict[str, int]) -> Iterator[tuple[tuple[str, str], Composable]]:
    """For the columns of such keys: their digit in the row's number, from 1. The second one is shifted by the first."""
    for table in tables:
        for group in _groups(table):
            if len(group) > 2:
                raise ValueError(f"{table.name}: a key of {len(group)} columns needs another rule")
            first = Literal(_size(table, group[0], counts) or counts[table.name])
            yield (table.name, group[0].name), SQL("1 + (g - 1) % {}").format(first)
            for column in group[1:]:
                size = _size(table, column, counts)
                digit = SQL("(g - 1) / {}").format(first)
                if size:
                    digit = SQL("({} + (g - 1) % {} * 13) % {}").format(digit, first, Literal(size))
                yield (table.name, column.name), SQL("1 + {}").format(digit)
