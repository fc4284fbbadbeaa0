"""The offline way, for comparison: ALTER TABLE … TYPE uuid with every table locked until it is done."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier

# (schema, table, columns that become uuid)
Conversion = tuple[str, str, Sequence[str]]

# Foreign keys with a converted column at either end. A child and its parent may both be converted.
_FOREIGN_KEYS = """
    SELECT DISTINCT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid)
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS converted (schema, "table", "column")
    JOIN pg_namespace AS cn ON cn.nspname = converted.schema
    JOIN pg_class AS cc ON cc.relnamespace = cn.oid AND cc.relname = converted."table"
    JOIN pg_attribute AS a ON a.attrelid = cc.oid AND a.attname = converted."column"
    JOIN pg_constraint AS k ON k.contype = 'f' AND k.conparentid = 0
        AND (k.conrelid = cc.oid AND a.attnum = ANY (k.conkey)
             OR k.confrelid = cc.oid AND a.attnum = ANY (k.confkey))
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    ORDER BY 1, 2, 3
"""

_DEFAULTS = """
    SELECT a.attname, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attrdef AS d
    JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated = ''
    JOIN pg_class AS c ON c.oid = d.adrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND a.attname = ANY (%s)
"""


@dataclass(frozen=True, kw_only=True)
class OfflineResult:
    """What the conversion cost.

    seconds: how long the tables were locked, COMMIT included; seconds_without_foreign_keys: the same
    less adding (and so checking) the foreign keys again; seconds_alter: the ALTER TABLE … TYPE
    statements alone; seconds_total: with ANALYZE, which is done after the lock; wal_bytes: WAL that the
    whole server wrote until the end of the locked part, so nothing else should write meanwhile.
    """

    seconds: float
    seconds_without_foreign_keys: float
    seconds_alter: float
    seconds_total: float
    wal_bytes: int


@dataclass(frozen=True, kw_only=True)
class _ForeignKey:
    schema: str
    table: str
    name: str
    definition: str


def offline_alter(url: str, conversions: Sequence[Conversion]) -> OfflineResult:
    """Convert the columns to uuid the best offline way, in one transaction; each table is rewritten once.

    For a copy of the database that is not used. Raises psycopg.Error, and then nothing was changed: a
    value that is no uuid, a view on a column, a lock that others hold.
    """
    started = time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:
        wal_before = _wal_position(connection)
        with connection.transaction():
            # Definitions are then printed with their schemas' names, whatever the role's own path is.
            connection.execute("SET LOCAL search_path = pg_catalog")
            names = SQL(", ").join(Identifier(schema, table) for schema, table, _ in conversions)
            connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
            locked = time.monotonic()
            foreign_keys = _read_foreign_keys(connection, conversions)
            _drop_foreign_keys(connection, foreign_keys)
            altering = time.monotonic()
            for schema, table, columns in conversions:
                connection.execute(_alter_table(connection, schema, table, columns))
            altered = time.monotonic()
            _add_foreign_keys(connection, foreign_keys)
            checked = time.monotonic()
        unlocked = time.monotonic()
        wal_bytes = _wal_position(connection) - wal_before
        connection.execute(SQL("ANALYZE {}").format(names))
    return OfflineResult(
        seconds=unlocked - locked,
        seconds_without_foreign_keys=unlocked - locked - (checked - altered),
        seconds_alter=altered - altering,
        seconds_total=time.monotonic() - started,
        wal_bytes=wal_bytes,
    )


def _alter_table(connection: psycopg.Connection, schema: str, table: str, columns: Sequence[str]) -> Composed:
    """All columns of the table in one statement, because each ALTER would rewrite it again."""
    defaults: dict[str, str] = dict(connection.execute(_DEFAULTS, [schema, table, list(columns)]).fetchall())
    actions: list[Composable] = []
    for column in columns:
        name = Identifier(column)
        if column in defaults:
            actions.append(SQL("ALTER COLUMN {} DROP DEFAULT").format(name))
        # By way of text: char(36) has no cast of its own to uuid.
        actions.append(SQL("ALTER COLUMN {0} TYPE uuid USING {0}::text::uuid").format(name))
        if column in defaults:
            expression = SQL(defaults[column])
            actions.append(SQL("ALTER COLUMN {} SET DEFAULT ({})::uuid").format(name, expression))
    return SQL("ALTER TABLE {} {}").format(Identifier(schema, table), SQL(", ").join(actions))


def _read_foreign_keys(connection: psycopg.Connection, conversions: Sequence[Conversion]) -> list[_ForeignKey]:
    columns = [(schema, table, column) for schema, table, names in conversions for column in names]
    found = connection.execute(_FOREIGN_KEYS, [list(part) for part in zip(*columns, strict=True)])
    return [
        _ForeignKey(schema=schema, table=table, name=name, definition=definition)
        for schema, table, name, definition in found.fetchall()
    ]


def _drop_foreign_keys(connection: psycopg.Connection, foreign_keys: Sequence[_ForeignKey]) -> None:
    for key in foreign_keys:
        connection.execute(
            SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(Identifier(key.schema, key.table), Identifier(key.name))
        )


def _add_foreign_keys(connection: psycopg.Connection, foreign_keys: Sequence[_ForeignKey]) -> None:
    """Add them as they were, which also checks every row."""
    for key in foreign_keys:
        connection.execute(
            SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                Identifier(key.schema, key.table), Identifier(key.name), SQL(key.definition)
            )
        )


def _wal_position(connection: psycopg.Connection) -> int:
    """Bytes of WAL the server has written since it was created."""
    (position,) = connection.execute(
        "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
    ).fetchone() or (0,)
    return int(position)
