"""The collector: each scrape reads the ledger on one connection, within a deadline, or says that it cannot."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import psycopg
import structlog
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from monitoring.metrics.change_metrics import of_changes, of_cutovers, of_writing
from monitoring.metrics.families import one
from monitoring.metrics.run_metrics import of_drivers, of_governor, of_run, of_surroundings
from monitoring.metrics.work_metrics import BOUNDS_S, of_jobs, of_sending, of_tables
from monitoring.status.read_status import read_status
from replank.errors import NoServer, ReplankError
from sql.ledger.jobs import resends
from sql.ledger.reading import metrics
from sql.ledger.runs import runs
from sql.ledger.tables import conversion_sets, tables
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection, connect

log = structlog.get_logger()

CONNECT_S = 4
DEADLINE_S = 8.0
"""Prometheus gives a scrape 10 s by default: what takes longer would be lost without a word."""

SESSION = {"statement_timeout": "5s", "lock_timeout": "1s", "default_transaction_read_only": "on"}


def read_metrics(connection: Connection) -> Iterator[Metric]:
    """Everything there is to say of the newest run; little where there is no ledger, or no run in it."""
    has_ledger = ledger_exists(connection)
    yield one("replank_ledger_exists", "Whether this database has a ledger.", has_ledger)
    run = runs.latest_run(connection) if has_ledger else None
    yield one("replank_run_exists", "Whether there is, or was, a run on this database.", run is not None)
    if run is None:
        return
    status = read_status(connection)
    work = metrics.read_work(connection, run.run_id, bounds=BOUNDS_S)
    present = tables.read_tables(connection, run.run_id)
    names = {table.table_no: table.spec.full_name for table in present}
    yield from of_run(connection, status)
    yield from of_drivers(connection, run)
    yield from of_surroundings(status)
    yield from of_governor(connection, run)
    yield from of_jobs(work, sent=metrics.read_pulse(connection, run.run_id).sent)
    yield from of_sending(status.queues, resends.totals(connection, run.run_id))
    yield from of_tables(work, status, names)
    yield from of_changes(connection, present)
    yield from of_writing(connection, run, present)
    yield from of_cutovers(conversion_sets.read_sets(connection, run.run_id))


def refuse_who_may_not_read(url: str) -> None:
    """Raise MayNot where the ledger is there and this login may not read it. A server that is away refuses no role."""
    with (
        suppress(NoServer, psycopg.OperationalError),
        connect(url, name="exporter", settings=SESSION, connect_timeout_s=CONNECT_S) as connection,
    ):
        ledger_exists(connection)


class LedgerCollector(Collector):
    """Reads one database's ledger. Scrapes take turns; a server that hangs costs each of them `deadline_s`."""

    def __init__(self, url: str, *, deadline_s: float = DEADLINE_S) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._connection: Connection | None = None
        self._turn = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is to say depends on the run."""
        return []

    def collect(self) -> Iterable[Metric]:
        with self._turn:
            began = time.monotonic()
            found, problem = self._within_deadline()
            if problem:
                log.info("the ledger cannot be read", reason=problem)
        yield one("replank_up", "Whether the database answered and its ledger could be read.", not problem)
        yield one("replank_scrape_duration_seconds", "How long this scrape took.", time.monotonic() - began)
        yield from found

    def close(self) -> None:
        """End the session; another scrape would open one again."""
        with self._turn:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _within_deadline(self) -> tuple[list[Metric], str]:
        """What was read, and why it was not. Half an answer is none."""
        connection, self._connection = self._connection, None
        reader = ThreadPoolExecutor(1, thread_name_prefix="scrape")
        reading = reader.submit(_read, self._url, connection)
        reader.shutdown(wait=False)
        try:
            found, self._connection = reading.result(self._deadline_s)
        except TimeoutError:
            if connection is not None:
                _wake(connection)
            reading.add_done_callback(_close_late)
            return [], f"no answer within {self._deadline_s:.0f} s"
        except (psycopg.Error, ReplankError) as error:
            return [], str(error).strip()
        return found, ""


def _read(url: str, connection: Connection | None) -> tuple[list[Metric], Connection]:
    """On the session that there is, or a new one. After an error it is closed."""
    if connection is None or connection.closed:
        connection = connect(url, name="exporter", settings=SESSION, connect_timeout_s=CONNECT_S)
    try:
        return list(read_metrics(connection)), connection
    except (psycopg.Error, ReplankError):
        connection.close()
        raise


def _wake(connection: Connection) -> None:
    """A thread that waits for a server that hangs hears that the connection is lost."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as shared:
        shared.shutdown(socket.SHUT_RDWR)


def _close_late(reading: Future[tuple[list[Metric], Connection]]) -> None:
    """An answer that comes after its deadline."""
    if reading.exception() is None:
        reading.result()[1].close()
