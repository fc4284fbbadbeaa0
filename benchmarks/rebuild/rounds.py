"""One round: every way once, each on a fresh copy, in an order that changes from round to round."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.rebuild.bare import BareTimes, rebuild_bare
from benchmarks.rebuild.findings import OnlineRun, Round
from benchmarks.rebuild.ledger_times import read_ledger_times
from benchmarks.rebuild.programs import coordinate, workers_running
from benchmarks.rebuild.shop import CONVERSIONS, fresh_copy, plan_text, wal_position
from benchmarks.rebuild.writers import WriterReport, writing
from demo.demonstration.offline import OfflineResult, offline_alter
from demo.embedded import EmbeddedPostgres, EmbeddedValkey

SMALL_CHUNK_MB = 1

Say = Callable[[str], None]


def measure_round(server: EmbeddedPostgres, *, number: int, workers: int, rate: float, say: Say) -> Round:
    """All ways once. Ways that are compared stand next to each other, and take turns in being first."""

    def offline() -> OfflineResult:
        say("  offline ALTER TABLE")
        with fresh_copy(server) as url:
            return offline_alter(url, CONVERSIONS)

    def online() -> OnlineRun:
        say("  Replank")
        return _online(server, workers=workers)

    def bare() -> BareTimes:
        say("  the same SQL in a loop")
        with fresh_copy(server) as url:
            return rebuild_bare(url, workers=workers)

    if number % 2:
        in_loop, rebuilt, altered = bare(), online(), offline()
    else:
        altered, rebuilt, in_loop = offline(), online(), bare()
    say(f"  Replank under {rate:.0f} writes/s")
    under_writes = _online(server, workers=workers, rate=rate)
    say(f"  Replank with chunks of {SMALL_CHUNK_MB} MB")
    small_chunks = _online(server, workers=workers, chunk_mb=SMALL_CHUNK_MB)
    return Round(offline=altered, online=rebuilt, bare=in_loop, under_writes=under_writes, small_chunks=small_chunks)


def warm_up(server: EmbeddedPostgres) -> None:
    """One way, not measured: the first one pays for memory and files that the machine hands out once."""
    with fresh_copy(server) as url:
        offline_alter(url, CONVERSIONS)


def _online(
    server: EmbeddedPostgres, *, workers: int, rate: float | None = None, chunk_mb: int | None = None
) -> OnlineRun:
    """One run on a fresh copy with a broker of its own; the workers wait for it before it begins."""
    plan = plan_text(chunk_mb=chunk_mb)
    written: WriterReport | None = None
    with (
        fresh_copy(server) as url,
        EmbeddedValkey() as broker,
        workers_running(url, broker.url(), count=workers),
    ):
        wal_before = wal_position(url)
        if rate is None:
            peak_mb = coordinate(url, broker.url(), plan)
        else:
            with writing(url, rate=rate) as held:
                peak_mb = coordinate(url, broker.url(), plan)
            written = held.report
        # Read after the run's end, later than the swap: what comes in between counts against Replank.
        wal_bytes = wal_position(url) - wal_before
        times = read_ledger_times(url, workers=workers)
    return OnlineRun(times=times, wal_bytes=wal_bytes, coordinator_peak_mb=peak_mb, writes=written)
