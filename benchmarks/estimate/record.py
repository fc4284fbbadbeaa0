"""`python -m benchmarks.estimate.record [NAME …]`: real runs, and what their ledgers said of them at many moments.

The recordings are kept beside the code, so that an estimate can be judged without a server. Recording them again costs
some minutes of two cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from benchmarks.estimate.recordings import Recording, write_recording
from benchmarks.estimate.worlds import Platform, World, mixed
from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from monitoring.estimate.read_snapshot import closed_seconds, read_snapshot
from monitoring.estimate.snapshot import Moment
from producer.coordinator.local_workers import LocalWorkers
from producer.operator.operator import Operator
from producer.operator.pausing import pause, resume, throttle
from producer.operator.scope import WHOLE_RUN
from replank.settings import Settings, load_settings
from replank.values.states import RunState
from sql.ledger.jobs import work
from sql.ledger.runs import history, runs
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, conversion_sets, tables
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection, connect

DEADLINE_S = 300.0
COMMAND = (sys.executable, "-c", "from replank.cli.app import main; main()")
RECORDER = Operator(name="recorder", via="command line")
SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB"}

Meddling = Callable[[Connection, Run, float], None]
"""What an operator does to a run after so many seconds of it."""


def leave_alone(_connection: Connection, _run: Run, _at_s: float) -> None:
    """No action is taken."""


def pause_between(begin_s: float, end_s: float) -> Meddling:
    def meddle(connection: Connection, run: Run, at_s: float) -> None:
        wanted = begin_s <= at_s < end_s
        if run.paused is not wanted and run.state is RunState.RUNNING:
            (pause if wanted else resume)(connection, run, WHOLE_RUN, by=RECORDER)

    return meddle


def throttle_between(begin_s: float, end_s: float, limit: int) -> Meddling:
    def meddle(connection: Connection, run: Run, at_s: float) -> None:
        wanted = limit if begin_s <= at_s < end_s else None
        if run.window_limit != wanted:
            throttle(connection, run, WHOLE_RUN, wanted, by=RECORDER)

    return meddle


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is recorded: a world, how many workers, how often it is sampled, and what is done meanwhile."""

    what: str
    world: World | Platform
    workers: int = 2
    every_s: float = 0.25
    standing: bool = True
    """Whether the workers are there before the run, as on hosts of their own; else `run --workers` starts them."""
    meddle: Meddling = leave_alone


LARGE = {"large": 600_000, "small": 500}

SHAPES: dict[str, Shape] = {
    "one-large": Shape(what="one table of 600,000 rows", world=World(rows=LARGE), standing=False),
    "one-large-throttled": Shape(
        what="one table of 600,000 rows, one job at a time",
        world=World(rows=LARGE, indexes=("parent_id", "at", "n"), chunk_mb=2),
        meddle=throttle_between(0, 1e9, 1),
    ),
    "two-large-by-key": Shape(
        what="two tables of 120,000 rows, cut along the key",
        world=World(rows={"a": 120_000, "b": 120_000}, axis="primary_key"),
        every_s=0.15,
    ),
    "large-among-small": Shape(
        what="250,000 rows in the last of eight tables", world=World(rows={**mixed((500,) * 7), "z": 250_000})
    ),
    "twenty-mixed": Shape(what="nineteen tables of mixed size", world=World(rows=mixed()), every_s=0.4),
    "twenty-mixed-paused": Shape(
        what="nineteen tables of mixed size, paused for four seconds",
        world=World(rows=mixed()),
        every_s=0.7,
        meddle=pause_between(2.5, 6.5),
    ),
    "twenty-mixed-one-worker": Shape(
        what="nineteen tables of mixed size, one worker, throttled for a while",
        world=World(rows=mixed((90_000, *((30_000, 5_000, 900, 50) * 4)))),
        workers=1,
        every_s=0.6,
        meddle=throttle_between(2.0, 5.0, 1),
    ),
    "backfill": Shape(
        what="60,000 rows filled in place beside 60,000 that are rebuilt",
        world=World(rows={"filled": 60_000, "rebuilt": 60_000, "small": 300}, backfilled=("filled",)),
    ),
    "caches": Shape(
        what="80,000 rows, and two caches of them",
        world=World(rows={"a": 80_000, "b": 30_000}, caches=("a", "b")),
        every_s=0.15,
    ),
    "platform": Shape(
        what="the demonstration's platform of 71 models, with an audit log", world=Platform(rows=4_000), every_s=3.0
    ),
    "four-workers": Shape(
        what="nineteen tables of mixed size, four workers", world=World(rows=mixed()), workers=4, every_s=0.7
    ),
}


def record(name: str, shape: Shape, postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> Recording:
    """One run from its beginning to its end. Raises RuntimeError if it does not end well."""
    database = name.replace("-", "_")
    url = postgres.create_database(database)
    shape.world.create(url)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    with tempfile.TemporaryDirectory(prefix="replank-record-") as folder:
        plan = Path(folder) / "plan.toml"
        settings = load_settings(database_url=url, broker_url=valkey.url())
        shape.world.write_plan(plan, url)
        with ExitStack() as stack:
            if shape.standing:
                stack.enter_context(LocalWorkers(settings, count=shape.workers, log_file=Path(folder) / "workers.log"))
                wait_for_workers(valkey.url())
            process = start_run(plan, settings, workers=0 if shape.standing else shape.workers)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            moments, end_s = watch(url, process, every_s=shape.every_s, meddle=shape.meddle)
    postgres.drop_database(database)
    return Recording(name=name, what=shape.what, moments=tuple(moments), end_s=end_s)


def start_run(plan: Path, settings: Settings, *, workers: int) -> subprocess.Popen[bytes]:
    urls = {"REPLANK_DATABASE_URL": settings.database(), "REPLANK_BROKER_URL": settings.broker()}
    return subprocess.Popen(
        [*COMMAND, "run", str(plan), "--workers", str(workers), "--quiet"],
        env={**os.environ, **urls},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_workers(broker_url: str) -> None:
    """Until a worker waits for messages."""
    give_up_at = time.monotonic() + DEADLINE_S
    with redis.Redis.from_url(broker_url) as broker:
        while not any(client["cmd"] == "brpop" for client in broker.client_list()):
            if time.monotonic() > give_up_at:
                raise RuntimeError("no worker has come")
            time.sleep(0.1)


def watch(
    url: str, process: subprocess.Popen[bytes], *, every_s: float, meddle: Meddling
) -> tuple[list[Moment], float]:
    """What the ledger says until the run is over, and when that was, in the seconds of its moments."""
    moments: list[Moment] = []
    give_up_at = time.monotonic() + DEADLINE_S
    with connect(url, name="recording") as connection:
        while time.monotonic() < give_up_at:
            run = runs.latest_run(connection) if ledger_exists(connection) else None
            if run is not None and run.state is not RunState.RUNNING:
                return moments, _end_of(connection, run)
            if run is not None:
                tallies = work.read_tallies(connection, run.run_id)
                present = tables.read_tables(connection, run.run_id)
                of_caches = caches.read_caches(connection, run.run_id)
                sets = conversion_sets.read_sets(connection, run.run_id)
                moments.append(read_snapshot(connection, run, tallies, found=present, sets=sets, of_caches=of_caches))
                meddle(connection, run, work.seconds_since_begin(connection, run.run_id))
            if process.poll() not in (None, 0):
                raise RuntimeError(f"`replank run` ended with {process.returncode}")
            time.sleep(every_s)
    raise RuntimeError(f"the run has not ended in {DEADLINE_S:.0f} s")


def _end_of(connection: Connection, run: Run) -> float:
    if run.state is not RunState.DONE or run.finished_at is None:
        raise RuntimeError(f"the run is {run.state}: {run.reason}")
    closed = closed_seconds(history.window_changes(connection, run.run_id), until=run.finished_at)
    return (run.finished_at - run.created_at).total_seconds() - closed


def main(names: list[str]) -> None:
    """Record the named shapes, or all."""
    with EmbeddedPostgres(durable=False, settings=SETTINGS) as postgres, EmbeddedValkey() as valkey:
        for name in names or SHAPES:
            recording = record(name, SHAPES[name], postgres, valkey)
            path = write_recording(recording)
            print(f"{name}: {len(recording.moments)} moments in {recording.end_s:.1f} s, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
