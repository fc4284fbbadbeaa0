"""Draining: apply the change log to the next table, in one transaction at one snapshot.

Take all visible keys, delete them from next, insert the live rows as of the same snapshot, delete
those log rows. Afterwards next equals live as of that snapshot for every key ever logged. A drain
must never run while a copy job of the same table is in flight: its older snapshot could put a stale
row back.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from replank.errors import NeedsPerson
from replank.table_spec import TableSpec
from sql.capture import log_keys, log_table, odd_table
from sql.connection import Connection, apply_settings, row, run
from sql.conversion import (
    canonical,
    column_list,
    converted_if_valid,
    is_odd,
    live_values,
    row_hash,
    type_name,
)
from sql.copying import source
from sql.next_table import live_table, next_table

ANALYZE_FROM_ROWS = 5_000
"""From this many log rows on, statistics pay for themselves in the joins' plans."""


@dataclass(frozen=True, kw_only=True)
class Drained:
    """What one drain did. `keys` counts log rows taken, `mismatches` rows that differ afterwards."""

    keys: int
    inserted: int
    truncated: bool
    mismatches: int


def drain(connection: Connection, spec: TableSpec, *, compare: bool) -> Drained:
    """Drain the log in the caller's transaction.

    The caller's transaction is REPEATABLE READ, or holds a lock that keeps all writers out.
    With `compare`, every drained key is compared on both sides before the transaction may commit.
    Raises NeedsPerson when two live rows have become the same uuid.
    """
    seen = row(
        connection,
        sql.SQL("SELECT count(*) AS keys, coalesce(bool_or(truncated), false) AS truncated FROM {}").format(
            log_table(spec)
        ),
    )
    assert seen is not None
    if seen["keys"] == 0:
        return Drained(keys=0, inserted=0, truncated=False, mismatches=0)
    apply_settings(connection, {"work_mem": "64MB"}, local=True)
    if seen["keys"] >= ANALYZE_FROM_ROWS:
        connection.execute(sql.SQL("ANALYZE {}").format(log_table(spec)))
    run(connection, _delete_from_next(connection, spec, everything=seen["truncated"]))
    inserted = run(connection, _insert_into_next(spec)).rowcount
    if spec.key_converted:
        _refuse_collisions(connection, spec)
    mismatches = count_mismatches(connection, spec) if compare else 0
    connection.execute(sql.SQL("DELETE FROM {}").format(log_table(spec)))
    return Drained(keys=seen["keys"], inserted=inserted, truncated=seen["truncated"], mismatches=mismatches)


def _logged(spec: TableSpec) -> sql.Composable:
    """The distinct live keys in the log."""
    return sql.SQL("(SELECT DISTINCT {} FROM {} WHERE NOT coalesce(truncated, false)) AS log").format(
        sql.SQL(", ").join(log_keys(spec)), log_table(spec)
    )


def logged_converted(connection: Connection, spec: TableSpec) -> sql.Composable:
    """The distinct next keys in the log, called `log`. A text that is no uuid was never copied: NULL."""
    version = connection.info.server_version
    keys = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(converted_if_valid(column, name, version), name)
        for column, name in zip(spec.key_columns, log_keys(spec), strict=True)
    )
    return sql.SQL("(SELECT DISTINCT {} FROM {} WHERE NOT coalesce(truncated, false)) AS log").format(
        keys, log_table(spec)
    )


def same_key(spec: TableSpec, alias: str, other: str = "log") -> sql.Composable:
    """The row of `alias` has the log's key."""
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(alias, name), sql.SQL("{}.{}").format(sql.Identifier(other), key))
        for name, key in zip(spec.key, log_keys(spec), strict=True)
    )


def _delete_from_next(connection: Connection, spec: TableSpec, *, everything: bool) -> sql.Composable:
    if everything:
        return sql.SQL("DELETE FROM {}").format(next_table(spec))
    return sql.SQL("DELETE FROM {} AS next USING {} WHERE {}").format(
        next_table(spec), logged_converted(connection, spec), same_key(spec, "next")
    )


def _insert_into_next(spec: TableSpec) -> sql.Composable:
    return sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} JOIN {} ON {}").format(
        next_table(spec),
        column_list(spec.written_columns),
        live_values(spec),
        source(spec),
        _logged(spec),
        same_key(spec, "live"),
    )


def count_mismatches(connection: Connection, spec: TableSpec) -> int:
    """How many of the log's keys differ between live (converted) and next, at this snapshot."""
    keys = log_keys(spec)
    named = sql.SQL(", ").join(keys)
    version = connection.info.server_version
    live_keys = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(converted_if_valid(column, sql.Identifier("live", column.name), version), key)
        for column, key in zip(spec.key_columns, keys, strict=True)
    )
    next_keys = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier("next", name), key) for name, key in zip(spec.key, keys, strict=True)
    )
    found = connection.execute(
        sql.SQL(
            "SELECT count(*) FROM"
            " (SELECT {live_keys}, {live_hash} AS hash FROM {live} JOIN {logged} ON {live_join}) AS l"
            " FULL JOIN (SELECT {next_keys}, {next_hash} AS hash"
            " FROM {next} AS next JOIN {converted} ON {next_join}) AS n"
            " USING ({named}) WHERE l.hash IS DISTINCT FROM n.hash"
        ).format(
            live_keys=live_keys,
            live_hash=row_hash(spec, "live", live=True),
            live=source(spec),
            logged=_logged(spec),
            live_join=same_key(spec, "live"),
            next_keys=next_keys,
            next_hash=row_hash(spec, "next", live=False),
            next=next_table(spec),
            converted=logged_converted(connection, spec),
            next_join=same_key(spec, "next"),
            named=named,
        )
    ).fetchone()
    return int(found[0]) if found else 0


def remember_odd(connection: Connection, spec: TableSpec, where: sql.Composable) -> None:
    """Keep the keys of live rows in `where` that are spelled otherwise than PostgreSQL would."""
    keys = column_list(spec.key_columns, "live")
    connection.execute(
        sql.SQL("INSERT INTO {} SELECT {}, {} FROM {} WHERE {} AND {} ON CONFLICT DO NOTHING").format(
            odd_table(spec),
            keys,
            _texts(spec, "live", spec.key),
            source(spec),
            where,
            is_odd(spec.key_columns, "live"),
        )
    )


def _texts(spec: TableSpec, alias: str, names: tuple[str, ...]) -> sql.Composable:
    """The converted key as text, one value per key column."""
    return sql.SQL(", ").join(
        sql.SQL("({}::pg_catalog.text::{})::pg_catalog.text").format(
            sql.Identifier(alias, name), type_name(column.next_type)
        )
        if column.converted
        else sql.SQL("{}::pg_catalog.text").format(sql.Identifier(alias, name))
        for name, column in zip(names, spec.key_columns, strict=True)
    )


def _refuse_collisions(connection: Connection, spec: TableSpec) -> None:
    """Two live rows that became one uuid would replace each other in silence: refuse.

    A twin of a logged key is spelled canonically (found by the live key's own index) or stands among
    the odd spellings, which verification and every drain collect.
    """
    logged_rows = sql.SQL("EXISTS (SELECT FROM {} WHERE {})").format(_logged(spec), same_key(spec, "live"))
    remember_odd(connection, spec, logged_rows)
    version = connection.info.server_version
    next_keys = [
        converted_if_valid(column, key, version) for column, key in zip(spec.key_columns, log_keys(spec), strict=True)
    ]
    batch = sql.SQL("SELECT DISTINCT {} FROM {} WHERE NOT coalesce(truncated, false)").format(
        sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(value, key) for value, key in zip(next_keys, log_keys(spec), strict=True)
        ),
        log_table(spec),
    )
    keys = list(zip(spec.key_columns, log_keys(spec), strict=True))
    by_canonical = sql.SQL(" AND ").join(
        sql.SQL("live.{} = {}").format(sql.Identifier(column.name), canonical(column, sql.SQL("batch.{}").format(key)))
        for column, key in keys
    )
    same_c = sql.SQL(" AND ").join(
        sql.SQL("odd.{} = batch.{}::pg_catalog.text").format(sql.Identifier(f"c{n}"), key)
        for n, (_, key) in enumerate(keys, start=1)
    )
    live_odd = sql.SQL(" AND ").join(
        sql.SQL("live.{} = odd.{}").format(sql.Identifier(column.name), key) for column, key in keys
    )
    as_text = sql.SQL("ROW({})::text").format(column_list(spec.key_columns, "live"))
    batch_text = sql.SQL("ROW({})::text").format(
        sql.SQL(", ").join(sql.SQL("batch.{}").format(key) for key in log_keys(spec))
    )
    twins = connection.execute(
        sql.SQL(
            "WITH batch AS ({batch}) SELECT string_agg(spelling, ' and ') FROM ("
            " SELECT {id} AS id, {spelling} AS spelling FROM batch JOIN {live} AS live ON {by_canonical}"
            " UNION SELECT {id}, {spelling} FROM batch JOIN {odd} AS odd ON {same_c}"
            " JOIN {live} AS live ON {live_odd}) AS found GROUP BY id HAVING count(*) > 1 LIMIT 3"
        ).format(
            batch=batch,
            id=batch_text,
            spelling=as_text,
            live=live_table(spec),
            by_canonical=by_canonical,
            odd=odd_table(spec),
            same_c=same_c,
            live_odd=live_odd,
        )
    ).fetchall()
    if twins:
        raise NeedsPerson(
            f"{spec.full_name}: rows that differ in spelling become the same uuid: "
            + "; ".join(str(twin[0]) for twin in twins)
            + ". Change or delete one row of each pair in the live table, then `replank retry` and run again."
        )
