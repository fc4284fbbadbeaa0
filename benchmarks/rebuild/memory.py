"""Whether the producer's memory grows with the number of chunks: `python -m benchmarks.rebuild.memory URL CHUNKS`.

A process of its own begins a run, cuts its table into CHUNKS heap jobs and then does what the
coordinator does in every turn, as often as it takes to send some of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks.rebuild.shop import plan_text
from monitoring.status.read_status import read_status
from monitoring.status.status import DATA_STEP
from producer.planning.resolution import read_plan_file
from producer.starting.begin import begin_or_resume
from replank.values.states import JobKind
from sql.ledger.jobs import job_queue, job_reports
from sql.ledger.tables import tables
from sql.session.connection import Connection, connect

TURNS = 20
WINDOW = 16


@dataclass(frozen=True, kw_only=True)
class CuttingMemory:
    """Memory of a producer, in MB, before and after it cut `chunks` jobs and read them `TURNS` times."""

    chunks: int
    before_mb: float
    after_mb: float
    seconds_cutting: float
    turn_ms: float


def _look(connection: Connection, run_id: int) -> None:
    """What one turn of the coordinator asks the ledger, and one look of the progress display."""
    job_reports.unfinished(connection, run_id)
    tables.read_tables(connection, run_id)
    job_queue.take_for_sending(connection, run_id, window=WINDOW, resend_after_s=0.0)
    read_status(connection)


def _measure(url: str, chunks: int) -> CuttingMemory:
    process = psutil.Process()
    with tempfile.TemporaryDirectory(prefix="replank-bench-") as folder, connect(url, name="memory") as connection:
        path = Path(folder) / "plan.toml"
        path.write_text(plan_text(), encoding="utf-8")
        run = begin_or_resume(connection, read_plan_file(path), hold_cutover=False)
        _look(connection, run.run_id)
        large = tables.read_tables(connection, run.run_id)[-1]
        before = process.memory_info().rss
        started = time.monotonic()
        job_queue.add_heap_jobs(
            connection,
            large.spec,
            JobKind.COPY,
            step=DATA_STEP[0],
            generation=large.generation,
            heap_blocks=chunks,
            chunk_blocks=1,
        )
        cut = time.monotonic()
        peak = before
        for _ in range(TURNS):
            _look(connection, run.run_id)
            peak = max(peak, process.memory_info().rss)
        turned = time.monotonic()
    return CuttingMemory(
        chunks=chunks,
        before_mb=before / 1e6,
        after_mb=peak / 1e6,
        seconds_cutting=cut - started,
        turn_ms=(turned - cut) / TURNS * 1000,
    )


def measure_cutting(url: str, *, chunks: int) -> CuttingMemory:
    """Measure in a fresh process, so that nothing measured before is in its memory."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rebuild.memory", url, str(chunks)],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return CuttingMemory(**json.loads(done.stdout))


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(sys.argv[1], int(sys.argv[2])))))
