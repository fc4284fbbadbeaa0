"""`replank worker`: a Celery worker that needs nothing but the two URLs."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from celery.signals import heartbeat_sent, worker_ready

from monitoring.tracing.tracing import traces_wanted
from replank.cli.options import BrokerUrl, DatabaseUrl
from replank.errors import WrongUse
from replank.settings import load_settings
from replank.values.messages import QUEUE_OF, QUEUES, broker_error
from sql.session.database_identity import identity_when_up
from workers.application.celery_app import build_app
from workers.application.logs import use_own_log
from workers.application.window_autoscaler import WindowAutoscaler
from workers.broker import transport
from workers.broker.delivery_watch import DeliveryWatch
from workers.stopping.refused_worker import Refusals, refuse_at_start
from workers.stopping.soft_stop import wait_for_jobs, worker_name

log = structlog.get_logger()

PARENT_CHECK_S = 0.5
SHUTDOWN_MARGIN_S = 5.0


def register(app: typer.Typer) -> None:
    app.command("worker")(worker)


def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="How many jobs at once (child processes).")] = 2,
    queues: Annotated[str, typer.Option(help="Comma-separated queues; all by default.")] = ",".join(QUEUES),
    name: Annotated[str, typer.Option(help="Name of this worker, unique in its fleet.")] = "",
    autoscale: Annotated[
        str | None, typer.Option(metavar="MIN,MAX", help="Follow the governor's window between these bounds.")
    ] = None,
    database_url: DatabaseUrl = None,
    broker_url: BrokerUrl = None,
    parent: Annotated[int | None, typer.Option(help="Stop when this process, which started it, has ended.")] = None,
) -> None:
    """Execute jobs until stopped. Start as many of these, on as many hosts, as you like.

    Example: replank worker --concurrency 4 --queues replank.copy,replank.verify
    """
    settings = load_settings(database_url=database_url, broker_url=broker_url)
    settings.broker()
    traces_wanted(os.environ)
    if parent is not None:
        _end_with(parent, at_latest_s=settings.soft_shutdown_s + SHUTDOWN_MARGIN_S)
    bounds = None if autoscale is None else _bounds(autoscale)
    use_own_log(settings)
    chosen_queues = _queues(queues)
    chosen = name or f"replank-{os.getpid()}@{socket.gethostname()}"
    identity = identity_when_up(settings.database())
    refuse_at_start(settings.database(), chosen)
    refusals = Refusals()
    if settings.heartbeat_file is not None:
        _beat(settings.heartbeat_file)
    app = build_app(settings, database=identity, queues=chosen_queues, refusals=refusals)
    delivery_watch = DeliveryWatch(
        settings.database(),
        kinds=[kind for kind, queue in QUEUE_OF.items() if queue in chosen_queues],
        children=lambda: [worker_name(pid) for pid in running.pool.info["processes"]],
        patience_s=settings.deaf_after_s,
    )
    transport.use_in_this_process(delivery_watch.heard)
    # Not through Celery's own command line: that loads a shell with completion, a seventh of this process's start.
    running = app.Worker(
        concurrency=concurrency if bounds is None else bounds[0],
        autoscale=None if bounds is None else f"{bounds[1]},{bounds[0]}",
        autoscaler_cls=partial(WindowAutoscaler, settings.database()),
        queues=",".join(chosen_queues),
        hostname=chosen,
        pool_cls="prefork",
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        # No banner: the worker says its own line.
        quiet=True,
    )
    log.info("the worker starts", name=chosen, processes=concurrency if bounds is None else autoscale, queues=queues)
    running.wait_for_soft_shutdown = lambda: wait_for_jobs(settings, lambda: running.pool.info["processes"])
    # Not before it is connected: only then it asks.
    worker_ready.connect(delivery_watch.watch, weak=False)
    refusals.watch()
    running.start()
    if refusals.error is not None:
        raise refusals.error
    if transport.Transport.refusal is not None:
        raise broker_error(settings.broker(), transport.Transport.refusal)
    raise typer.Exit(running.exitcode or 0)


def _beat(file: Path) -> None:
    """Touch the file with each of Celery's own heartbeats: an event loop that hangs sends none."""

    try:
        file.touch()
    except OSError as error:
        raise WrongUse(f"REPLANK_HEARTBEAT_FILE: {file} cannot be written: {error.strerror}.") from None

    @heartbeat_sent.connect(weak=False)  # type: ignore[untyped-decorator]
    def touch(**_: Any) -> None:
        try:
            file.touch()
        except OSError as error:
            log.warning("the heartbeat file cannot be written", file=str(file), reason=error.strerror)


def _queues(words: str) -> list[str]:
    """The queues that were named. Celery would make any other, and wait in it for ever."""
    named = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in named if word not in QUEUES]
    if unknown or not named:
        raise WrongUse(f"--queues {', '.join(unknown)}: no such queue. There are {', '.join(QUEUES)}.")
    return named


def _bounds(words: str) -> tuple[int, int]:
    """`2,8` as least and most processes."""
    least, comma, most = words.partition(",")
    if not (comma and least.isdecimal() and most.isdecimal() and 1 <= int(least) <= int(most)):
        raise WrongUse(f"--autoscale {words}: write the least and the most processes, e.g. 2,8.")
    return int(least), int(most)


def _end_with(parent: int, *, at_latest_s: float) -> None:
    """A killed coordinator cannot stop its local workers: they notice by themselves.

    What goes away together often goes altogether: Celery would wait for ever for a broker that was lost
    during the shutdown, so after `at_latest_s` the worker ends as if killed.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(at_latest_s)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
