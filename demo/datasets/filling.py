"""Filling a sample database with SQL alone, and counting what came of it."""

import re
from collections.abc import Mapping, Sequence

import psycopg
from psycopg.sql import SQL, Identifier

# Fewer rows than this make a table's foreign keys trivial (every child the same parent).
_LEAST_ROWS = 20


def portions(rows: int, per_mille: Mapping[str, int]) -> dict[str, int]:
    """How many of all rows each table gets."""
    return {name: max(_LEAST_ROWS, rows * part // 1000) for name, part in per_mille.items()}


def fill(connection: psycopg.Connection, text: bytes, counts: Mapping[str, int]) -> None:
    """Execute a file of named blocks; a block begins with a line `-- name: …` and may have `counts` as parameters."""
    for statement in _named_blocks(text).values():
        connection.execute(statement, counts if b"%(" in statement else None)


def count_rows(connection: psycopg.Connection, schemas: Sequence[str]) -> dict[str, int]:
    """By "schema.table"."""
    tables = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY (%s) ORDER BY 1, 2", [list(schemas)]
    ).fetchall()
    counted: dict[str, int] = {}
    for schema, table in tables:
        query = SQL("SELECT count(*) FROM {}").format(Identifier(schema, table))
        (number,) = connection.execute(query).fetchone() or (0,)
        counted[f"{schema}.{table}"] = number
    return counted


def _named_blocks(text: bytes) -> dict[str, bytes]:
    """name -> statement, in the file's order."""
    parts = re.split(rb"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return {name.decode(): body for name, body in zip(parts[1::2], parts[2::2], strict=True)}
