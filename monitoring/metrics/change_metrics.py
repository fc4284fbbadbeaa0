"""What the run leaves behind on its way: change logs, WAL, disk, the locks of cutovers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from monitoring.metrics.families import counter, gauge, one
from sql.ledger.reading import metrics
from sql.ledger.reading.metrics import MOST_COUNTED
from sql.ledger.runs.runs import Run
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection

COUNTED = f"counted up to {MOST_COUNTED}"


def of_changes(connection: Connection, tables: Sequence[RunTable]) -> Iterator[Metric]:
    """Logs of both directions; one that is not there has no sample."""
    forward = metrics.read_logs(connection, {t.spec.full_name: t.spec.log_name for t in tables})
    back = metrics.read_logs(connection, {t.spec.full_name: f"reverse_log_{t.run_id}_{t.table_no}" for t in tables})
    for direction, words, logs in (
        ("change_log", "the change log, which wait to be drained", forward),
        ("reverse_log", "the log of reverse capture, which a rollback would drain", back),
    ):
        yield gauge(
            f"replank_{direction}_rows",
            f"Rows in {words}, by table; {COUNTED}.",
            ["table"],
            [((log.table,), log.rows) for log in logs],
        )
        yield gauge(
            f"replank_{direction}_bytes",
            f"Bytes of {words}, by table.",
            ["table"],
            [((log.table,), log.bytes) for log in logs],
        )


def of_writing(connection: Connection, run: Run, tables: Sequence[RunTable]) -> Iterator[Metric]:
    """WAL of the whole server, growth of the database, and the next tables."""
    written = metrics.written(connection, run.run_id)
    yield counter(
        "replank_wal_bytes_total",
        "WAL that the whole server has written since the run's data migration began.",
        [],
        [] if written is None else [((), written.wal_bytes)],
    )
    added = None if written is None else written.added_bytes
    yield one("replank_database_added_bytes", "The most that the database had grown.", added)
    sizes = metrics.next_bytes(connection, [t.spec for t in tables if t.spec.method == "rebuild"])
    yield gauge(
        "replank_next_table_bytes",
        "Bytes of a next table with its indexes; no sample after the swap.",
        ["table"],
        [((name,), size) for name, size in sizes.items()],
    )


def of_cutovers(sets: Sequence[ConversionSet]) -> Iterator[Metric]:
    """Conversion sets: whether they are swapped, attempts, and what their locks cost everybody else."""
    swapped = [((str(s.set_no),), float(s.swapped_at is not None)) for s in sets]
    yield gauge("replank_cutover_done", "Whether a conversion set is swapped.", ["set"], swapped)
    attempts = [((str(s.set_no),), s.attempts) for s in sets]
    yield gauge("replank_cutover_attempts", "Attempts at the cutover that missed so far.", ["set"], attempts)
    for what, words in (("wait", "waited for"), ("hold", "held")):
        found = [(str(s.set_no), s.lock_wait_ms if what == "wait" else s.lock_hold_ms) for s in sets]
        yield gauge(
            f"replank_cutover_lock_{what}_seconds",
            f"How long the cutover {words} its locks; no sample before it.",
            ["set"],
            [((number,), ms / 1000) for number, ms in found if ms is not None],
        )
