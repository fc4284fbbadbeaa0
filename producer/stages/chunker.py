"""Cutting tables into chunks: jobs in the ledger, in constant memory however many there are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from replank.values.chunk import Axis
from replank.values.states import JobKind
from sql.ledger.jobs import job_queue
from sql.ledger.tables import tables
from sql.ledger.tables.tables import RunTable
from sql.rows.copy import HeapExtent, chunks_between, heap_extent, next_bounds
from sql.session.connection import Connection

BLOCK_BYTES = 8_192
SMALLEST_CHUNK_BLOCKS = 256
LARGEST_CHUNK_BLOCKS = 16_384
CHUNKS_PER_TABLE = 16
"""What a table of middle size is cut into: enough to keep workers level, few enough to cost nothing."""

ROWS_OF_A_BLOCK = 50
"""Where no statistics tell."""

MOST_PARTS = 100
"""Chunks that one block is cut into; a block of more is halved where it is too much."""

CUTS_PER_TURN = 64
"""Key cuts made in one turn of the coordinator, so that one large table holds up no other."""


@dataclass(frozen=True, kw_only=True)
class HeapCut:
    """How a heap is cut: `blocks` a chunk; where one block is too much, `parts` a block, of `places` rows' places."""

    blocks: int
    parts: int = 1
    places: int = 1


def chunk_blocks(all_blocks: int, chunk_mb: int | None) -> int:
    """Blocks per chunk, with TOAST: the plan's size, or a sixteenth of the table between 2 MB and 128 MB."""
    if chunk_mb is not None:
        return max(1, chunk_mb * 1024 * 1024 // BLOCK_BYTES)
    wanted = math.ceil(all_blocks / CHUNKS_PER_TABLE)
    return min(max(wanted, SMALLEST_CHUNK_BLOCKS), LARGEST_CHUNK_BLOCKS)


def cut_of(extent: HeapExtent, wanted: int, *, rows: int) -> HeapCut:
    """Chunks of about `wanted` blocks, TOAST and all partitions counted; `rows` is how many the table has, about.

    What lies out of line is taken to be spread evenly: a chunk that turns out to be too large is halved.
    """
    if extent.all_blocks == 0 or wanted * extent.blocks >= extent.all_blocks:
        return HeapCut(blocks=wanted * extent.blocks // extent.all_blocks if extent.all_blocks else wanted)
    in_block = math.ceil(rows / extent.blocks) if rows else ROWS_OF_A_BLOCK
    parts = min(math.ceil(extent.all_blocks / (wanted * extent.blocks)), in_block, MOST_PARTS)
    return HeapCut(blocks=1, parts=parts, places=math.ceil(in_block / parts))


def start_copy(connection: Connection, table: RunTable, *, step: str, chunk_mb: int | None) -> None:
    """Look at the table's file, now that capture has committed, and cut it (heap) or begin to (key)."""
    extent = heap_extent(connection, table.spec)
    tables.set_heap_extent(connection, table.spec, extent)
    if table.axis is Axis.HEAP:
        cut = cut_of(extent, chunk_blocks(extent.all_blocks, chunk_mb), rows=table.rows_estimate)
        job_queue.add_heap_jobs(
            connection,
            table.spec,
            JobKind.COPY,
            step=step,
            generation=table.generation,
            heap_blocks=extent.blocks,
            chunk_blocks=cut.blocks,
            parts=cut.parts,
            places=cut.places,
        )
        tables.set_cut(connection, table.spec, cut_to=(str(extent.blocks),), finished=True)


def rows_per_chunk(table: RunTable, wanted: int) -> int:
    """Rows that lie in about `wanted` blocks, TOAST counted. Statistics that know less than a row a block are old."""
    if not table.rows_estimate:
        return ROWS_OF_A_BLOCK * wanted
    return max(1, max(table.rows_estimate, table.heap_blocks) * wanted // max(table.all_blocks, 1))


def cut_more(connection: Connection, table: RunTable, *, step: str, chunk_mb: int | None) -> bool:
    """Cut some more of a table along its key, in one transaction with the place where it stopped.

    Returns True when the end is reached.
    """
    wanted = rows_per_chunk(table, chunk_blocks(table.all_blocks, chunk_mb))
    with connection.transaction():
        bounds = next_bounds(connection, table.spec, after=table.cut_to, rows_per_chunk=wanted, count=CUTS_PER_TURN)
        finished = len(bounds) < CUTS_PER_TURN
        job_queue.add_jobs(
            connection,
            table.spec,
            JobKind.COPY,
            step=step,
            generation=table.generation,
            chunks=chunks_between(Axis.PRIMARY_KEY, table.cut_to, bounds, last=finished),
        )
        tables.set_cut(connection, table.spec, cut_to=bounds[-1] if bounds else table.cut_to, finished=finished)
    return finished
