"""`replank worker`: a Celery worker that needs nothing but the two URLs."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import Annotated

import structlog
import typer

from replank.errors import CannotConnect
from replank.messages import QUEUES
from replank.settings import load_settings
from sql.identity import identity_of
from workers.celery_app import build_app

log = structlog.get_logger()

PARENT_CHECK_S = 0.5
DATABASE_WAIT_S = 60.0


def register(app: typer.Typer) -> None:
    app.command("worker")(worker)


def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="How many jobs at once (child processes).")] = 2,
    queues: Annotated[str, typer.Option(help="Comma-separated queues; all by default.")] = ",".join(QUEUES),
    name: Annotated[str, typer.Option(help="Name of this worker, unique in its fleet.")] = "",
    database_url: Annotated[str | None, typer.Option(help="Overrides REPLANK_DATABASE_URL.")] = None,
    broker_url: Annotated[str | None, typer.Option(help="Overrides REPLANK_BROKER_URL.")] = None,
    parent: Annotated[int | None, typer.Option(help="Stop when this process, which started it, has ended.")] = None,
) -> None:
    """Execute jobs until stopped. Start as many of these, on as many hosts, as you like."""
    settings = load_settings(database_url=database_url, broker_url=broker_url)
    settings.broker()
    if parent is not None:
        _end_with(parent)
    app = build_app(settings, database=_wait_for_database(settings.database()))
    chosen = name or f"replank-{os.getpid()}@{socket.gethostname()}"
    app.worker_main(
        [
            "worker",
            f"--concurrency={concurrency}",
            f"--queues={queues}",
            f"--hostname={chosen}",
            "--pool=prefork",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
        ]
    )


def _wait_for_database(url: str) -> str:
    """The database's identity. A worker may be up before its database: it asks again for a minute."""
    deadline = time.monotonic() + DATABASE_WAIT_S
    while True:
        try:
            return identity_of(url)
        except CannotConnect as error:
            if time.monotonic() > deadline:
                raise
            log.info("waiting for the database", reason=str(error))
            time.sleep(1.0)


def _end_with(parent: int) -> None:
    """A killed coordinator cannot stop its local workers: they notice by themselves."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(PARENT_CHECK_S):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
