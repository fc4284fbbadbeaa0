"""Copying: one chunk of the live table into the next table, and where chunks may be cut."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from replank.errors import NeedsOperator, TableRewritten
from replank.values.chunk import Axis, Bound, Chunk
from replank.values.table_spec import Relation, TableSpec
from sql.rows.change_log import log_keys, log_table
from sql.session.connection import Connection, row, run
from sql.session.named_queries import query
from sql.session.table_names import live_table, next_table
from sql.values.conversion import column_list, live_values, own_texts_valid, type_name
from sql.values.equality_operators import in_order


def source(spec: TableSpec) -> Composable:
    """The live table in a FROM clause, called `live`; inheritance children are not part of it."""
    only = SQL("") if spec.partitioned else SQL("ONLY ")
    return SQL("{}{} AS live").format(only, live_table(spec))


def joined_source(spec: TableSpec) -> Composable:
    """`source` with what the plan's expressions use beside it."""
    return SQL("{} {}").format(source(spec), type_name(spec.join)) if spec.join else source(spec)


def in_chunk(spec: TableSpec, chunk: Chunk, alias: str = "live") -> Composable:
    """The condition that a row of `alias` lies in the chunk's half-open range."""
    bounds: list[Composable]
    if chunk.axis is Axis.HEAP:
        bounds = [
            _place_comparison(operator, within, bound, alias)
            for operator, within, bound in (
                (SQL(">="), SQL(">="), chunk.lower),
                (SQL("<"), SQL("<="), chunk.upper),
            )
            if bound is not None
        ]
    else:
        bounds = [
            key_comparison(spec, operator, bound, alias)
            for operator, bound in ((">=", chunk.lower), ("<", chunk.upper))
            if bound is not None
        ]
    return SQL(" AND ").join(bounds) if bounds else SQL("true")


def _place_comparison(operator: SQL, within: SQL, bound: Bound, alias: str) -> Composable:
    """Compare a row's place with a bound: a block, a row of a block, or that row of one partition."""
    ctid = Identifier(alias, "ctid")
    place = f"({bound[0]},{bound[1] if len(bound) > 1 else 0})"
    if len(bound) < 3:
        return SQL("{} {} {}::pg_catalog.tid").format(ctid, operator, place)
    # The first condition keeps the scan to the range; the second is the exact one.
    return SQL("{0} {1} {2}::pg_catalog.tid AND ({0}, {3}) {4} ({2}::pg_catalog.tid, {5}::pg_catalog.oid)").format(
        ctid, within, place, Identifier(alias, "tableoid"), operator, bound[2]
    )


def key_comparison(spec: TableSpec, operator: str, bound: Bound, alias: str) -> Composable:
    """Compare a row's key with a bound as rows, in the key's own types, operators and collation."""
    values = [
        SQL("{}::{}").format(text, type_name(column.live_type))
        for text, column in zip(bound, spec.key_columns, strict=True)
    ]
    return in_order(spec.key_columns, [Identifier(alias, name) for name in spec.key], operator, values)


def pin_file(connection: Connection, spec: TableSpec, filenode: int) -> None:
    """Hold the live table's file until the transaction ends. Raises TableRewritten if it is another.

    The lock comes first: after it no VACUUM FULL, CLUSTER or TRUNCATE can change the file under us.
    """
    only = SQL("" if spec.partitioned else "ONLY ")
    connection.execute(SQL("LOCK TABLE {}{} IN ACCESS SHARE MODE").format(only, live_table(spec)))
    found = extent_of(connection, spec.oid)
    if found is None or found.filenode != filenode:
        raise TableRewritten(
            f"{spec.full_name}: the table was rewritten (VACUUM FULL, CLUSTER or TRUNCATE) after its blocks"
            " were cut into chunks. Its copy starts again automatically."
        )


def copy_chunk(connection: Connection, spec: TableSpec, chunk: Chunk) -> int:
    """Copy one chunk, converted, in the caller's transaction. Returns the number of rows.

    Rows whose own texts send them into quarantine are logged instead: the drain decides about them.
    """
    if spec.quarantining_columns:
        log_invalid(connection, spec, chunk)
    return int(run(connection, copy_statement(spec, chunk, connection.info.server_version)).rowcount)


def copy_statement(spec: TableSpec, chunk: Chunk, version: int) -> Composable:
    """One pass: read the chunk, convert, write the next table's rows."""
    return copy_where(spec, in_chunk(spec, chunk), version)


def copy_where(spec: TableSpec, where: Composable, version: int) -> Composable:
    """`copy_statement` for the live rows that a condition on `live` chooses."""
    return SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} WHERE {} AND {}").format(
        next_table(spec),
        column_list(spec.written_columns),
        live_values(spec, version),
        joined_source(spec),
        where,
        own_texts_valid(spec, "live", version),
    )


def log_invalid(connection: Connection, spec: TableSpec, chunk: Chunk) -> None:
    """Log the rows of a chunk whose own texts send them into quarantine."""
    run(
        connection,
        SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE {} AND NOT {}").format(
            log_table(spec),
            SQL(", ").join(log_keys(spec)),
            column_list(spec.key_columns, "live"),
            source(spec),
            in_chunk(spec, chunk),
            own_texts_valid(spec, "live", connection.info.server_version),
        ),
    )


def next_bounds(
    connection: Connection, spec: TableSpec, *, after: Bound | None, rows_per_chunk: int, count: int
) -> list[Bound]:
    """Up to `count` further cuts along the key, `rows_per_chunk` rows apart, in the index's order.

    Each is one walk of the key's index; memory stays the same however large the table is. Fewer than
    `count` means that the end is reached.
    """
    found: list[Bound] = []
    for _ in range(count):
        beyond: Composable = SQL("true")
        if after is not None:
            beyond = key_comparison(spec, ">", after, "live")
        as_text = SQL(", ").join(SQL("{}::text").format(Identifier("live", name)) for name in spec.key)
        cut = connection.execute(
            SQL("SELECT {} FROM {} WHERE {} ORDER BY {} OFFSET {} LIMIT 1").format(
                as_text,
                source(spec),
                beyond,
                column_list(spec.key_columns, "live"),
                rows_per_chunk - 1,
            )
        ).fetchone()
        if cut is None:
            return found
        after = tuple(str(text) for text in cut)
        found.append(after)
    return found


def chunks_between(axis: Axis, start: Bound | None, bounds: Sequence[Bound], *, last: bool) -> list[Chunk]:
    """Chunks from `start` over each bound; with `last`, one more that is open at its end."""
    edges: list[Bound | None] = [start, *bounds]
    chunks = [Chunk(axis=axis, lower=lower, upper=upper) for lower, upper in itertools.pairwise(edges)]
    if last:
        chunks.append(Chunk(axis=axis, lower=edges[-1], upper=None))
    return chunks


@dataclass(frozen=True, kw_only=True)
class HeapExtent:
    """A table's files. `filenode` names its file, or is a fingerprint of its partitions' files.

    A chunk of blocks means these blocks of every partition, so `blocks` are those of the longest;
    `all_blocks` is the size of all together, with what lies out of line (TOAST): most of a table may be there.
    """

    filenode: int
    blocks: int
    all_blocks: int


def heap_extent(connection: Connection, relation: Relation) -> HeapExtent:
    """The extent of a live table, now. Call it after capture has committed."""
    found = extent_of(connection, relation.oid)
    if found is None:
        raise NeedsOperator(
            f"{relation.full_name} is gone. Run `replank rollback`, correct the plan, and run it again."
        )
    return found


def extent_of(connection: Connection, oid: int) -> HeapExtent | None:
    """The extent of any table, now; None if it is gone."""
    found = row(connection, query("catalogue.filenode"), {"oid": oid})
    if found is None or found["heap_blocks"] is None:
        return None
    return HeapExtent(filenode=found["filenode"], blocks=found["heap_blocks"], all_blocks=found["all_blocks"])
