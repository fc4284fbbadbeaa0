"""Cutting tables into chunks: jobs in the ledger, in constant memory however many there are."""

from __future__ import annotations

import math

from replank.chunk import Axis
from replank.states import JobKind
from sql.connection import Connection
from sql.copying import HeapExtent, chunks_between, heap_extent, next_bounds
from sql.ledger import job_queue, tables
from sql.ledger.tables import RunTable

BLOCK_BYTES = 8_192
SMALLEST_CHUNK_BLOCKS = 256
LARGEST_CHUNK_BLOCKS = 16_384
CHUNKS_PER_TABLE = 16
"""What a table of middle size is cut into: enough to keep workers level, few enough to cost nothing."""

CUTS_PER_TURN = 64
"""Key cuts made in one turn of the coordinator, so that one large table holds up no other."""


def chunk_blocks(heap_blocks: int, chunk_mb: int | None) -> int:
    """Blocks per chunk: the plan's size, or a sixteenth of the table between 2 MB and 128 MB."""
    if chunk_mb is not None:
        return max(1, chunk_mb * 1024 * 1024 // BLOCK_BYTES)
    wanted = math.ceil(heap_blocks / CHUNKS_PER_TABLE)
    return min(max(wanted, SMALLEST_CHUNK_BLOCKS), LARGEST_CHUNK_BLOCKS)


def blocks_of_each(extent: HeapExtent, chunk_mb: int | None, *, factor: int = 1) -> int:
    """Blocks per chunk of the longest heap, so that a chunk over all partitions has about the wanted size."""
    wanted = factor * chunk_blocks(extent.all_blocks, chunk_mb)
    return max(1, wanted * extent.blocks // extent.all_blocks) if extent.all_blocks else wanted


def start_copy(connection: Connection, table: RunTable, *, step: str, chunk_mb: int | None) -> None:
    """Look at the table's file, now that capture has committed, and cut it (heap) or begin to (key)."""
    extent = heap_extent(connection, table.spec)
    tables.set_heap_extent(connection, table.spec, filenode=extent.filenode, heap_blocks=extent.blocks)
    if table.axis is Axis.HEAP:
        job_queue.add_heap_jobs(
            connection,
            table.spec,
            JobKind.COPY,
            step=step,
            generation=table.generation,
            heap_blocks=extent.blocks,
            chunk_blocks=blocks_of_each(extent, chunk_mb),
        )
        tables.set_cut(connection, table.spec, cut_to=(str(extent.blocks),), finished=True)


def cut_on(connection: Connection, table: RunTable, *, step: str, chunk_mb: int | None) -> bool:
    """Cut some more of a table along its key, in one transaction with the place where it stopped.

    Returns True when the end is reached.
    """
    blocks = max(table.heap_blocks, 1)
    rows_per_block = max(table.rows_estimate / blocks, 1.0) if table.rows_estimate else 50.0
    wanted = max(100, int(rows_per_block * chunk_blocks(blocks, chunk_mb)))
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
