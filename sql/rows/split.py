"""Halving a chunk: where its rows lie on both sides of a point, asked of the table itself.

On the primary-key axis the point is the middle row's key, in the key's own order and collation. On the heap axis it is
the middle block, then within one block the middle row by its place, then among rows that have one place in
several partitions the middle partition. So every chunk comes down to a single row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from psycopg.sql import SQL, Identifier

from replank.values.chunk import Axis, Bound, Chunk, Side
from replank.values.states import SPLITTING_KINDS, JobKind
from replank.values.table_spec import TableSpec
from sql.rows.copy import in_chunk, source
from sql.session.connection import Connection, run
from sql.session.table_names import next_rows
from sql.values.conversion import column_list

MOST_OF_A_BLOCK = 10_000
"""More than one block has rows, in as many partitions as a table can have."""


WHOLE: Mapping[JobKind, str] = {
    JobKind.DRAIN: "a drain is at one snapshot",
    JobKind.REPAIR: "a repair compares both sides at one snapshot",
    JobKind.INDEX: "PostgreSQL builds an index in one piece: more index_memory_mb in the plan, or fewer workers, helps",
    JobKind.VACUUM: "PostgreSQL vacuums a table in one piece",
    JobKind.VALIDATE: "PostgreSQL validates a constraint in one piece",
    JobKind.CACHE: "a cache's parts are cut by its plan (chunk_by)",
}
"""Why jobs of a kind cannot be made smaller."""


@dataclass(frozen=True, kw_only=True)
class Halves:
    """Two chunks that are the whole of the one; or none, because it holds `rows` (0 or 1) rows."""

    chunks: tuple[Chunk, ...] = ()
    rows: int = 0
    key: tuple[str, ...] | None = None
    """The single row's key as texts, in the order of the key's columns."""


def may_split(kind: JobKind, chunk: Chunk | None, detail: Mapping[str, Any]) -> bool:
    """Chunks of rows. A small table's verification has a snapshot of its own for both sides: its halves would not."""
    return kind in SPLITTING_KINDS and chunk is not None and not in_one_piece(kind, detail)


def in_one_piece(kind: JobKind, detail: Mapping[str, Any]) -> bool:
    """A verification that is done again in chunks, at a snapshot that they share, where it is too much."""
    return kind is JobKind.VERIFY and detail.get("snapshot") is None


def halve(connection: Connection, spec: TableSpec, chunk: Chunk, side: Side = "live") -> Halves:
    """Where to cut the chunk in two. Nothing is changed."""
    blocks = _whole_blocks(chunk)
    if blocks is not None and blocks[1] - blocks[0] > 1:
        return _at(chunk, (str((blocks[0] + blocks[1]) // 2),))
    return (
        _by_key(connection, spec, chunk) if chunk.axis is Axis.PRIMARY_KEY else _in_block(connection, spec, chunk, side)
    )


def _at(chunk: Chunk, point: Bound) -> Halves:
    return Halves(chunks=(replace(chunk, upper=point), replace(chunk, lower=point)))


def _whole_blocks(chunk: Chunk) -> tuple[int, int] | None:
    """The blocks of a heap chunk that begins and ends with a block."""
    if chunk.axis is not Axis.HEAP or chunk.lower is None or chunk.upper is None:
        return None
    if len(chunk.lower) > 1 or len(chunk.upper) > 1:
        return None
    return int(chunk.lower[0]), int(chunk.upper[0])


def _by_key(connection: Connection, spec: TableSpec, chunk: Chunk) -> Halves:
    where, rows_of = in_chunk(spec, chunk), source(spec)
    texts = SQL(", ").join(SQL("{}::pg_catalog.text").format(Identifier("live", name)) for name in spec.key)
    found = run(
        connection,
        SQL(
            "WITH counted AS MATERIALIZED (SELECT count(*) AS n FROM {rows_of} WHERE {where})"
            " SELECT (SELECT n FROM counted), {texts} FROM {rows_of} WHERE {where}"
            " ORDER BY {key} OFFSET (SELECT n / 2 FROM counted) LIMIT 1"
        ).format(rows_of=rows_of, where=where, texts=texts, key=column_list(spec.key_columns, "live")),
    ).fetchone()
    if found is None:
        return Halves()
    key = tuple(str(text) for text in found[1:])
    return Halves(rows=1, key=key) if found[0] == 1 else _at(chunk, key)


def _in_block(connection: Connection, spec: TableSpec, chunk: Chunk, side: Side) -> Halves:
    """The places of the rows are read; there are few."""
    relation = source(spec) if side == "live" else next_rows(spec)
    found = run(
        connection,
        SQL(
            "SELECT {alias}.ctid::pg_catalog.text, {alias}.tableoid::pg_catalog.text, {key} FROM {relation}"
            " WHERE {where} ORDER BY {alias}.ctid, {alias}.tableoid LIMIT {most}"
        ).format(
            alias=Identifier(side),
            key=SQL(", ").join(SQL("{}::pg_catalog.text").format(Identifier(side, name)) for name in spec.key),
            relation=relation,
            where=in_chunk(spec, chunk, side),
            most=MOST_OF_A_BLOCK,
        ),
    ).fetchall()
    if len(found) <= 1:
        return Halves(rows=len(found), key=tuple(str(text) for text in found[0][2:]) if found else None)
    middle, before = found[len(found) // 2], found[len(found) // 2 - 1]
    block, item = str(middle[0]).strip("()").split(",")
    return _at(chunk, (block, item) if middle[0] != before[0] else (block, item, str(middle[1])))
