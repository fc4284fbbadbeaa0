"""What stands in octavia's tables, by plain SQL that shares nothing with the product."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from support.schemas.octavia.service import Row

Rows = dict[Row, dict[str, Any]]


def projects_of(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [project for (project,) in connection.execute("SELECT project_id FROM quotas ORDER BY 1")]


KEYS = """
SELECT c.relname, array_agg(a.attname::text ORDER BY array_position(i.indkey::int[], a.attnum::int))
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
 WHERE i.indisprimary AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'
 GROUP BY 1
"""


def read_rows(url: str) -> Rows:
    """Every row of every table, by its key. In JSON a uuid is the text that it was."""
    with psycopg.connect(url) as connection:
        keys: list[tuple[str, list[str]]] = connection.execute(KEYS).fetchall()
        found: Rows = {}
        for table, columns in keys:
            query = SQL("SELECT to_jsonb(t) FROM {} AS t").format(Identifier("public", table))
            for (row,) in connection.execute(query):
                found[table, tuple(str(row[column]) for column in columns)] = row
    return found


KEY_COLUMNS = """
SELECT DISTINCT k.conrelid::regclass::text, a.attname::text FROM pg_constraint AS k
  JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
 WHERE k.contype IN ('p', 'f') AND k.connamespace = 'public'::regnamespace AND a.atttypid = 'varchar'::regtype
   AND k.conrelid <> 'alembic_version'::regclass
"""
IS_UUID = SQL("SELECT bool_and({} ~ '^[0-9a-f]{{8}}(-?[0-9a-f]{{4}}){{3}}-?[0-9a-f]{{12}}$') FROM {}")


def keys_of_uuids(url: str) -> set[tuple[str, str]]:
    """Table and column of every varchar that belongs to a primary or a foreign key and holds uuids and nothing else."""
    with psycopg.connect(url) as connection:
        return {
            (table, column)
            for table, column in connection.execute(KEY_COLUMNS).fetchall()
            if connection.execute(IS_UUID.format(Identifier(column), Identifier(table))).fetchone() == (True,)
        }
