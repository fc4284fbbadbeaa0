"""What the generator must know of the tables, read from the catalogue: columns, foreign keys, what is unique."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import psycopg

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       pg_get_serial_sequence(format('public.%I', c.relname), a.attname),
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = a.atttypid ORDER BY e.enumsortorder)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
   AND c.relname NOT LIKE '\\_prisma%'
 ORDER BY c.relname COLLATE "C", a.attnum
"""

_FOREIGN_KEYS = """
SELECT c.relname, a.attname, r.relname, b.attname
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class r ON r.oid = k.confrelid
  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
  JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
 WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
"""

_UNIQUE = """
SELECT c.relname, ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(n, o)
                          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n ORDER BY k.o)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
 WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE '\\_prisma%'
 ORDER BY c.relname, i.indexrelid
"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column. `parent` is (table, column) where a foreign key leads; `sequence` is empty where it has none."""

    name: str
    type: str
    nullable: bool
    sequence: str
    labels: tuple[str, ...]
    parent: tuple[str, str] | None


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    unique: tuple[tuple[str, ...], ...]


def read_shape(connection: psycopg.Connection[Any]) -> list[Table]:
    """Every table of the schema `public`, in the order of their names."""
    parents = {(table, column): (to, key) for table, column, to, key in connection.execute(_FOREIGN_KEYS)}
    columns: dict[str, list[Column]] = defaultdict(list)
    for table, name, kind, nullable, sequence, labels in connection.execute(_COLUMNS):
        columns[table].append(
            Column(
                name=name,
                type=kind,
                nullable=nullable,
                sequence=sequence or "",
                labels=tuple(labels),
                parent=parents.get((table, name)),
            )
        )
    unique: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for table, over in connection.execute(_UNIQUE):
        unique[table].append(tuple(over))
    return [Table(name=name, columns=tuple(found), unique=tuple(unique[name])) for name, found in columns.items()]
