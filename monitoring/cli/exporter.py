"""`replank exporter`: metrics of a database's run for Prometheus."""

from __future__ import annotations

import signal
import threading

import typer
from prometheus_client import CollectorRegistry, start_http_server

from monitoring.metrics.collector import LedgerCollector, refuse_who_may_not_read
from monitoring.terminal.output import people
from replank.cli.options import Address, DatabaseUrl, Port
from replank.errors import WrongUse
from replank.settings import load_settings

PORT = 9878


def register(app: typer.Typer) -> None:
    app.command("exporter")(exporter)


def exporter(
    address: Address = "127.0.0.1",
    port: Port = PORT,
    database_url: DatabaseUrl = None,
) -> None:
    """Answer Prometheus with the run's metrics, read from the ledger at each scrape, until stopped.

    Example: replank exporter --address 0.0.0.0 --port 9878
    """
    settings = load_settings(database_url=database_url)
    refuse_who_may_not_read(settings.database())
    registry = CollectorRegistry(auto_describe=False)
    collector = LedgerCollector(settings.database())
    registry.register(collector)
    try:
        server, _ = start_http_server(port, address, registry)
    except OSError as error:
        raise WrongUse(f"Cannot listen on {address}:{port}: {error.strerror}. Name another --port.") from None
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    people().print(f"Metrics at http://{address}:{server.server_port}/metrics", markup=False, soft_wrap=True)
    stopped.wait()
    server.shutdown()
    collector.close()
