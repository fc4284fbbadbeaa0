"""Verification: count and an order-independent hash of every row, live against next, at one snapshot.

Keys in the change log are left out on both sides: the next drain brings and compares them. The hash of
a row is 64 bits and depends on its key throughout, so that neither equal rows nor exchanged values can
cancel each other in the sum, which does not depend on the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from replank.values.chunk import Chunk, Side
from replank.values.table_spec import TableSpec
from sql.quarantine.quarantined_rows import (
    Kept,
    count_kept_differences,
    kept_rows,
    live_quarantined_rows,
    log_kept_differences,
    not_quarantined,
)
from sql.rows.change_log import keys_of, log_keys, log_table, logged_converted, same_key
from sql.rows.collisions import remember_odd
from sql.rows.copy import in_chunk, joined_source, source
from sql.session.connection import Connection, row, run
from sql.session.table_names import next_rows
from sql.values.conversion import ComparedBy, canonical, converted_if_valid, row_hash
from sql.values.equality_operators import all_equal


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What one verify job saw. `total` is the sum of the rows' hashes; `truncated` makes it stale."""

    rows: int
    total: int
    truncated: bool
    quarantined: Kept | None = None
    """Live: the chunk's rows that quarantine names. Next: all that quarantine holds, in the first chunk only."""

    def to_json(self) -> dict[str, Any]:
        """JSON numbers lose digits in other readers: the sum travels as text."""
        document = {"rows": self.rows, "total": str(self.total), "truncated": self.truncated}
        if self.quarantined is not None:
            document |= {"quarantined": self.quarantined.rows, "quarantined_total": str(self.quarantined.total)}
        return document


def sum_chunk(
    connection: Connection, spec: TableSpec, side: Side, chunk: Chunk, compared_by: ComparedBy, *, remember: bool = True
) -> Sums:
    """Count and hash one chunk of one side, in the caller's REPEATABLE READ transaction.

    Comparing values is for tables with odd spellings: with `remember` their keys are kept on the way, so that later
    collisions with them are seen. Without it nothing is written.
    """
    log = row(
        connection,
        SQL("SELECT count(*) AS keys, coalesce(bool_or(truncated), false) AS truncated FROM {}").format(
            log_table(spec)
        ),
    )
    assert log is not None
    left_out = SQL("true") if log["keys"] == 0 else not_logged(connection, spec, side)
    where = SQL("{} AND {}").format(in_chunk(spec, chunk, side), left_out)
    found = run(connection, summed(spec, side, where, compared_by, connection.info.server_version)).fetchone()
    assert found is not None
    if remember and side == "live" and compared_by is ComparedBy.VALUES and spec.key_converted:
        remember_odd(connection, spec, source(spec), in_chunk(spec, chunk))
    return Sums(
        rows=found[0],
        total=int(found[1]),
        truncated=log["truncated"],
        quarantined=_quarantined(connection, spec, side, chunk),
    )


def summed(spec: TableSpec, side: Side, where: Composable, compared_by: ComparedBy, version: int) -> Composable:
    """The query for count and sum of the hashes of one side's rows: one row, the sum as text."""
    return SQL("SELECT count(*), coalesce(sum({}), 0)::text FROM {} WHERE {} AND {}").format(
        row_hash(spec, side, version, live=side == "live", compared_by=compared_by),
        joined_source(spec) if side == "live" else next_rows(spec),
        where,
        not_quarantined(spec, "live") if side == "live" else SQL("true"),
    )


def _quarantined(connection: Connection, spec: TableSpec, side: Side, chunk: Chunk) -> Kept | None:
    if not spec.quarantines:
        return None
    if side == "live":
        return live_quarantined_rows(connection, spec, in_chunk(spec, chunk))
    return kept_rows(connection, spec) if chunk.lower in (None, ("0",)) else None


def not_logged(connection: Connection, spec: TableSpec, side: Side) -> Composable:
    """The condition that a side's row is none whose key is in the log."""
    if side == "live":
        logged: Composable = SQL("{} AS log").format(log_table(spec))
    else:
        logged = logged_converted(connection, spec)
    return SQL("NOT EXISTS (SELECT FROM {} WHERE {})").format(logged, same_key(spec, side))


def log_differences(connection: Connection, spec: TableSpec) -> int:
    """Send the key of every row that differs through the log, in the caller's REPEATABLE READ transaction.

    Returns how many there are. A row that exists only in next goes in under its canonical spelling.
    """
    quarantined = log_kept_differences(connection, spec) if spec.quarantines else 0
    found = run(
        connection,
        SQL("INSERT INTO {log} ({keys}) {differing}").format(
            log=log_table(spec), keys=SQL(", ").join(log_keys(spec)), differing=_differing(connection, spec)
        ),
    )
    return found.rowcount + quarantined


def differing_keys(connection: Connection, spec: TableSpec, *, limit: int) -> tuple[int, list[str]]:
    """How many `log_differences` would log, and the first of these keys as text; nothing is written.

    In the caller's REPEATABLE READ transaction.
    """
    asked = SQL(
        "SELECT ROW({keys})::text, count(*) OVER () FROM ({differing}) AS differing ({keys}) ORDER BY 1 LIMIT {limit}"
    ).format(keys=SQL(", ").join(log_keys(spec)), differing=_differing(connection, spec), limit=limit)
    found = connection.execute(asked).fetchall()
    count = int(found[0][1]) if found else 0
    quarantined = count_kept_differences(connection, spec) if spec.quarantines else 0
    return count + quarantined, [str(key) for key, _ in found]


def _differing(connection: Connection, spec: TableSpec) -> Composable:
    """The query for the keys of rows that differ, as the log has keys."""
    keys, version = log_keys(spec), connection.info.server_version
    as_converted = SQL(", ").join(
        SQL("{} AS {}").format(converted_if_valid(column, Identifier("live", column.name), version), key)
        for column, key in zip(spec.key_columns, keys, strict=True)
    )
    originals = SQL(", ").join(
        SQL("live.{} AS {}").format(Identifier(name), Identifier(f"o{n}")) for n, name in enumerate(spec.key, start=1)
    )
    nexts = SQL(", ").join(
        SQL("next.{} AS {}").format(Identifier(name), key) for name, key in zip(spec.key, keys, strict=True)
    )
    logged = SQL(", ").join(
        SQL("coalesce(l.{}, {})").format(Identifier(f"o{n}"), canonical(column, SQL("n.{}").format(key), version))
        for n, (column, key) in enumerate(zip(spec.key_columns, keys, strict=True), start=1)
    )
    return SQL(
        "SELECT {logged} FROM"
        " (SELECT {originals}, {as_converted}, {live_hash} AS hash FROM {live} WHERE {live_left} AND {kept}) AS l"
        " FULL JOIN (SELECT {nexts}, {next_hash} AS hash FROM {next} WHERE {next_left}) AS n"
        " ON {same} WHERE l.hash IS DISTINCT FROM n.hash"
    ).format(
        logged=logged,
        originals=originals,
        as_converted=as_converted,
        live_hash=row_hash(spec, "live", version, live=True),
        live=joined_source(spec),
        live_left=not_logged(connection, spec, "live"),
        kept=not_quarantined(spec, "live"),
        nexts=nexts,
        same=all_equal(spec.key_columns, keys_of(spec, "l"), keys_of(spec, "n")),
        next_hash=row_hash(spec, "next", version, live=False),
        next=next_rows(spec),
        next_left=not_logged(connection, spec, "next"),
    )


def difference_examples(connection: Connection, spec: TableSpec, *, limit: int = 5) -> list[str]:
    """Some of the keys that `log_differences` has logged in this transaction, as text."""
    found = connection.execute(
        SQL("SELECT ROW({})::text FROM {} WHERE xmin = pg_current_xact_id()::xid ORDER BY 1 LIMIT {}").format(
            SQL(", ").join(log_keys(spec)), log_table(spec), limit
        )
    ).fetchall()
    return [str(key[0]) for key in found]
