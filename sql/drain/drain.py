"""Draining: apply the change log to the next table, in one transaction at one snapshot.

Take all visible keys, delete them from next, insert the live rows as of the same snapshot, delete
those log rows. Afterwards next equals live as of that snapshot for every key ever logged. A drain
must never run while a copy job of the same table is in flight: its older snapshot could put a stale
row back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import TableSpec
from sql.quarantine.quarantined_rows import not_quarantined
from sql.quarantine.resolve import resolve_quarantine
from sql.rows.change_log import (
    ANALYZE_FROM_ROWS,
    FEW_KEYS,
    MANY_KEYS,
    keys_of,
    log_keys,
    log_table,
    logged,
    logged_converted,
    same_key,
)
from sql.rows.collisions import log_texts, refuse_collisions
from sql.rows.copy import source
from sql.session.connection import Connection, locally, run
from sql.session.table_names import next_rows, next_table
from sql.values.conversion import canonical, column_list, converted_if_valid, live_values, row_hash, type_name
from sql.values.equality_operators import all_equal


@dataclass(frozen=True, kw_only=True)
class Drained:
    """What one drain did. `keys` counts log rows taken, `mismatches` rows that differ afterwards."""

    keys: int
    inserted: int
    truncated: bool
    mismatches: int


def drain(
    connection: Connection,
    spec: TableSpec,
    *,
    compare: bool,
    by_index: bool = True,
    together: Sequence[TableSpec] = (),
) -> Drained:
    """Drain the log in the caller's transaction.

    `by_index` is False for the first drain only: the next table has no index yet. `together` are the tables
    whose quarantine is resolved before, at the same snapshot; then the caller holds it (`hold_quarantine`).

    The caller's transaction is REPEATABLE READ, or holds a lock that keeps all writers out.
    With `compare`, every drained key is compared on both sides before the transaction may commit.
    Raises NeedsOperator when two live rows have become the same uuid.
    """
    if together:
        resolve_quarantine(connection, together, draining=spec)
    count = SQL("SELECT count(*), coalesce(bool_or(truncated), false) FROM {}").format(log_table(spec))
    keys, truncated = run(connection, count, prepare=True).fetchall()[0]
    if keys == 0:
        return Drained(keys=0, inserted=0, truncated=False, mismatches=0)
    if truncated and spec.partitioned:
        keys += _log_vanished(connection, spec)
    many = keys >= ANALYZE_FROM_ROWS
    if many:
        connection.execute(SQL("ANALYZE {}").format(log_table(spec)))
    with locally(connection, MANY_KEYS if many else FEW_KEYS if by_index else {}):
        if spec.key_converted:
            log_texts(connection, spec)
            refuse_collisions(connection, spec)
        run(connection, delete_from_next(connection, spec, everything=truncated and not spec.partitioned), prepare=True)
        inserted = run(connection, insert_into_next(connection, spec), prepare=True).rowcount
        mismatches = count_mismatches(connection, spec) if compare else 0
        run(connection, SQL("DELETE FROM {}").format(log_table(spec)), prepare=True)
    return Drained(keys=keys, inserted=inserted, truncated=truncated, mismatches=mismatches)


def delete_from_next(connection: Connection, spec: TableSpec, *, everything: bool) -> Composable:
    """What is logged goes, or (after a TRUNCATE of a plain table) everything."""
    if everything:
        return SQL("DELETE FROM {}").format(next_rows(spec))
    return SQL("DELETE FROM {} USING {} WHERE {}").format(
        next_rows(spec), logged_converted(connection, spec), same_key(spec, "next")
    )


def _log_vanished(connection: Connection, spec: TableSpec) -> int:
    """A partition was emptied by TRUNCATE, and its keys were not logged: every key that only next has is logged.

    Returns how many there are.
    """
    return run(connection, logged_vanished(spec, connection.info.server_version)).rowcount


def logged_vanished(spec: TableSpec, version: int) -> Composable:
    """The statement that logs the keys that only next has."""
    same = all_equal(
        spec.key_columns,
        [converted_if_valid(column, Identifier("live", column.name), version) for column in spec.key_columns],
        [Identifier("next", column.name) for column in spec.key_columns],
    )
    as_live = SQL(", ").join(canonical(column, Identifier("next", column.name), version) for column in spec.key_columns)
    return SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE NOT EXISTS (SELECT FROM {} WHERE {})").format(
        log_table(spec), SQL(", ").join(log_keys(spec)), as_live, next_rows(spec), source(spec), same
    )


def insert_into_next(connection: Connection, spec: TableSpec) -> Composable:
    """The logged rows come in as they are now."""
    return SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}").format(
        next_table(spec),
        column_list(spec.written_columns),
        live_values(spec, connection.info.server_version),
        _logged_live(spec),
    )


def _logged_live(spec: TableSpec) -> Composable:
    """A FROM clause: the logged live rows that are not in quarantine, with what the plan's expressions use.

    The log stays inside: an expression of the plan may say `k1` or `log`, and mean what the plan knows by that name.
    """
    rows = SQL("(SELECT live.* FROM {} JOIN {} ON {} WHERE {}) AS live").format(
        source(spec), logged(spec), same_key(spec, "live"), not_quarantined(spec, "live")
    )
    return SQL("{} {}").format(rows, type_name(spec.join)) if spec.join else rows


def count_mismatches(connection: Connection, spec: TableSpec) -> int:
    """How many of the log's keys differ between live (converted) and next, at this snapshot."""
    found = run(connection, counted_mismatches(connection, spec), prepare=True).fetchone()
    return int(found[0]) if found else 0


def counted_mismatches(connection: Connection, spec: TableSpec) -> Composable:
    """The query of `count_mismatches`."""
    keys = log_keys(spec)
    version = connection.info.server_version
    live_keys = SQL(", ").join(
        SQL("{} AS {}").format(converted_if_valid(column, Identifier("live", column.name), version), key)
        for column, key in zip(spec.key_columns, keys, strict=True)
    )
    next_keys = SQL(", ").join(
        SQL("{} AS {}").format(Identifier("next", name), key) for name, key in zip(spec.key, keys, strict=True)
    )
    return SQL(
        "SELECT count(*) FROM"
        " (SELECT {live_keys}, {live_hash} AS hash FROM {live}) AS l"
        " FULL JOIN (SELECT {next_keys}, {next_hash} AS hash"
        " FROM {next} JOIN {converted} ON {next_join}) AS n"
        " ON {same} WHERE l.hash IS DISTINCT FROM n.hash"
    ).format(
        live_keys=live_keys,
        live_hash=row_hash(spec, "live", version, live=True),
        live=_logged_live(spec),
        next_keys=next_keys,
        next_hash=row_hash(spec, "next", version, live=False),
        next=next_rows(spec),
        converted=logged_converted(connection, spec),
        next_join=same_key(spec, "next"),
        same=all_equal(spec.key_columns, keys_of(spec, "l"), keys_of(spec, "n")),
    )
