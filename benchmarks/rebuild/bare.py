"""The same SQL in a loop: two threads, two connections, no ledger, no queue, no coordinator.

It copies the same heap chunks with the same statements into the same next tables, waits, and builds
the same indexes with the same settings. What Replank takes longer is what its machinery costs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from benchmarks.rebuild.shop import plan_text
from producer.planning.resolution import read_plan_file, resolve
from producer.planning.table_specs import table_spec
from producer.stages.chunker import chunk_blocks
from replank.plan.plan import OptionsPlan
from replank.values.chunk import Axis, Chunk
from replank.values.table_spec import TableSpec
from sql.catalogue.fingerprints import shape
from sql.next_table.builder import create_next
from sql.next_table.indexes import attach_constraints, build_index, read_indexes
from sql.rows.copy import copy_chunk, heap_extent
from sql.session.connection import Connection, apply_settings, connect
from sql.session.statements import execute

Task = Callable[[Connection], None]


@dataclass(frozen=True, kw_only=True)
class BareTimes:
    """Seconds of the two parts, and together."""

    seconds_copy: float
    seconds_index: float

    @property
    def seconds(self) -> float:
        return self.seconds_copy + self.seconds_index


def rebuild_bare(url: str, *, workers: int) -> BareTimes:
    """Fill next tables beside the live ones and index them; nothing is captured, verified or swapped."""
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(url, name=f"bare {n}")) for n in range(workers)]
        for connection in connections:
            apply_settings(connection, _session())
        specs = _create_next_tables(connections[0])
        copies = [
            _copy_task(spec, chunk) for spec in specs for chunk in _chunks(heap_extent(connections[0], spec).blocks)
        ]
        started = time.monotonic()
        _in_parallel(connections, copies)
        copied = time.monotonic()
        indexes = {spec.table_no: read_indexes(connections[0], spec.heaps) for spec in specs}
        _in_parallel(connections, [_index_task(asdict(index)) for spec in specs for index in indexes[spec.table_no]])
        for spec in specs:
            with connections[0].transaction():
                execute(connections[0], attach_constraints(connections[0], spec, indexes[spec.table_no]))
        ended = time.monotonic()
    return BareTimes(seconds_copy=copied - started, seconds_index=ended - copied)


def _session() -> dict[str, str]:
    """What workers set for each of their jobs."""
    return {
        "synchronous_commit": "off",
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
        "maintenance_work_mem": f"{OptionsPlan().index_memory_mb}MB",
    }


def _create_next_tables(connection: Connection) -> list[TableSpec]:
    with tempfile.TemporaryDirectory(prefix="replank-bench-") as folder:
        path = Path(folder) / "plan.toml"
        path.write_text(plan_text(), encoding="utf-8")
        resolved = resolve(connection, read_plan_file(path))
    specs = []
    for number, (planned, live) in enumerate(resolved.tables, start=1):
        spec = table_spec(connection, planned, live, shape=shape(connection, live.oid), run_id=1, table_no=number)
        execute(connection, create_next(connection, spec))
        specs.append(spec)
    return specs


def _chunks(blocks: int) -> list[Chunk]:
    size = chunk_blocks(blocks, None)
    return [
        Chunk(axis=Axis.HEAP, lower=(str(first),), upper=(str(min(first + size, blocks)),))
        for first in range(0, blocks, size)
    ]


def _copy_task(spec: TableSpec, chunk: Chunk) -> Task:
    def copy(connection: Connection) -> None:
        copy_chunk(connection, spec, chunk)

    return copy


def _index_task(index: dict[str, object]) -> Task:
    def build(connection: Connection) -> None:
        with connection.transaction():
            execute(connection, [build_index(index)])

    return build


def _in_parallel(connections: Sequence[Connection], tasks: Sequence[Task]) -> None:
    """Each connection takes the next task as soon as it has none."""
    waiting: SimpleQueue[Task | None] = SimpleQueue()
    for task in [*tasks, *([None] * len(connections))]:
        waiting.put(task)

    def work(connection: Connection) -> None:
        while (task := waiting.get()) is not None:
            task(connection)

    with ThreadPoolExecutor(len(connections)) as threads:
        for done in [threads.submit(work, connection) for connection in connections]:
            done.result()
