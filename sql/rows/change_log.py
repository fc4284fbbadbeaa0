"""The change log: its names, and its keys as they are read."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import TableSpec
from sql.session.connection import Connection, value
from sql.values.conversion import converted_if_valid
from sql.values.equality_operators import all_equal

ANALYZE_FROM_ROWS = 5_000
"""From this many log rows on, statistics pay for themselves in the joins' plans."""

FEW_KEYS: Mapping[str, str] = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""A short log has no fresh statistics: go by the indexes, never through a whole table. For the drain's own statements
only: what else runs in its transaction (a view's query, an event trigger) would be planned by them too."""

MANY_KEYS: Mapping[str, str] = {"work_mem": "64MB"}


def log_table(spec: TableSpec) -> Identifier:
    return Identifier("replank", spec.log_name)


def odd_table(spec: TableSpec) -> Identifier:
    return Identifier("replank", spec.odd_name)


def log_keys(spec: TableSpec) -> list[Identifier]:
    """The log's key columns: `k1` … in key order."""
    return [Identifier(f"k{number}") for number in range(1, len(spec.key) + 1)]


def odd_columns(spec: TableSpec) -> list[Identifier]:
    """The columns of the table of odd spellings that hold what the key's converted columns become, as text."""
    return [Identifier(f"c{n}") for n, column in enumerate(spec.key_columns, start=1) if column.converted]


def logged(spec: TableSpec) -> Composable:
    """The distinct live keys in the log."""
    return SQL("(SELECT DISTINCT {} FROM {} WHERE NOT coalesce(truncated, false)) AS log").format(
        SQL(", ").join(log_keys(spec)), log_table(spec)
    )


def logged_converted(connection: Connection, spec: TableSpec) -> Composable:
    """The distinct next keys in the log, called `log`. A text that is no uuid was never copied: NULL."""
    version = connection.info.server_version
    keys = SQL(", ").join(
        SQL("{} AS {}").format(converted_if_valid(column, name, version), name)
        for column, name in zip(spec.key_columns, log_keys(spec), strict=True)
    )
    return SQL("(SELECT DISTINCT {} FROM {} WHERE NOT coalesce(truncated, false)) AS log").format(keys, log_table(spec))


def same_key(spec: TableSpec, alias: str, other: str = "log") -> Composable:
    """The row of `alias` has the log's key, by the operators of the key's index."""
    own = [Identifier(alias, name) for name in spec.key]
    return all_equal(spec.key_columns, own, keys_of(spec, other))


def keys_of(spec: TableSpec, alias: str) -> list[Composable]:
    """The key columns of a log, or of what has columns of their names."""
    return [SQL("{}.{}").format(Identifier(alias), key) for key in log_keys(spec)]


def logged_keys(connection: Connection, log: Identifier, spec: TableSpec) -> int:
    """How many keys a log names, each counted once. A note that the table was emptied is no key."""
    keys = SQL(", ").join(log_keys(spec))
    return int(
        value(
            connection,
            SQL("SELECT count(*) FROM (SELECT DISTINCT {} FROM {} WHERE truncated IS NOT TRUE) AS keys").format(
                keys, log
            ),
        )
    )
