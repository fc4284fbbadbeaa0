"""The database that every way rebuilds: two tables with text-uuid keys, and fresh copies of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg.sql import SQL, Identifier

from demo.embedded import EmbeddedPostgres

TEMPLATE = "bench_template"
COPY = "bench"
PARENT_ROWS = 10_000
"""Rows of `account`; `entry` has as many as asked for, about 184 bytes each."""

SERVER_SETTINGS: Mapping[str, str] = {
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "30min",
}

CONVERSIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("public", "account", ("id",)),
    ("public", "entry", ("id", "account_id")),
)
LARGE_TABLE = "entry"

_TABLES = """
CREATE EXTENSION pg_prewarm;
CREATE TABLE account (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, name text NOT NULL);
CREATE TABLE entry (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    account_id text NOT NULL,
    created_at timestamptz NOT NULL,
    amount bigint NOT NULL,
    note text NOT NULL
);
"""

_PARENT = "INSERT INTO account (name) SELECT 'account ' || n FROM generate_series(1, %s) AS n"

# Keys are random, so the heap's order has nothing to do with them.
_ROWS = """
WITH numbered AS (SELECT row_number() OVER () - 1 AS n, id FROM account)
INSERT INTO entry (account_id, created_at, amount, note)
SELECT numbered.id, timestamptz '2026-01-01' + n.n * interval '1 second', n.n,
       md5(n.n::text) || substr(md5((-n.n)::text), 1, 31)
  FROM generate_series(1, %(rows)s) AS n (n)
  JOIN numbered ON numbered.n = (hashint8(n.n) & 2147483647) %% %(parents)s
"""

_INDEXES = """
ALTER TABLE entry ADD PRIMARY KEY (id);
CREATE INDEX entry_account_id_idx ON entry (account_id);
CREATE INDEX entry_created_at_idx ON entry (created_at);
ALTER TABLE entry ADD FOREIGN KEY (account_id) REFERENCES account (id);
"""

_WARM = """
SELECT sum(pg_prewarm(c.oid)) FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'i')
"""

_ROW_BYTES = "SELECT avg(pg_column_size(entry.*)) FROM (SELECT * FROM entry LIMIT 1000) AS entry"


def create_template(server: EmbeddedPostgres, rows: int) -> float:
    """Make the database that is copied for each measure. Returns the size of a row in bytes."""
    url = server.create_database(TEMPLATE)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_TABLES)
        connection.execute(_PARENT, [PARENT_ROWS])
        connection.execute(_ROWS, {"rows": rows, "parents": PARENT_ROWS})
        connection.execute(_INDEXES)
        connection.execute("VACUUM (FREEZE, ANALYZE)")
        found = connection.execute(_ROW_BYTES).fetchone()
    assert found is not None
    return float(found[0])


@contextmanager
def fresh_copy(server: EmbeddedPostgres) -> Iterator[str]:
    """A copy of the template, its tables and indexes in the cache, after a checkpoint; gone afterwards.

    So each way begins with the same files, the same cache and no dirty page of the way before.
    """
    server.drop_database(COPY)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(Identifier(COPY), Identifier(TEMPLATE))
        )
    url = server.url(COPY)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_WARM)
        connection.execute("CHECKPOINT")
    try:
        yield url
    finally:
        server.drop_database(COPY)


def wal_position(url: str) -> int:
    """Bytes of WAL the server has written since it was created."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
    assert found is not None
    return int(found[0])


def plan_text(*, chunk_mb: int | None = None) -> str:
    """The plan that converts both tables, as an operator would write it."""
    lines = ["version = 1", "[database]", f'name = "{COPY}"']
    if chunk_mb is not None:
        lines += ["[options]", f"chunk_mb = {chunk_mb}"]
    for schema, table, columns in CONVERSIONS:
        lines += ["[[tables]]", f'schema = "{schema}"', f'name = "{table}"']
        for column in columns:
            lines += ["[[tables.columns]]", f'name = "{column}"', 'to = "uuid"']
    return "\n".join(lines) + "\n"
