"""Flower as it comes, with our pages in its server: built from the workers' own settings, and served until stopped."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from celery import Celery
from flower.app import Flower
from flower.options import default_options
from flower.urls import settings as flower_settings
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from monitoring.flower.login_gate import Gate
from monitoring.flower.logins import Logins
from monitoring.flower.tasks import COLUMNS, format_task
from monitoring.flower.templates import templates
from replank.errors import WrongUse
from replank.settings import Settings
from replank.values.messages import celery_settings

MOST_TASKS = 10_000
"""Messages that are remembered: some 60 MB of memory. The ledger remembers all jobs."""

SAVE_EVERY_MS = 300_000
"""Saving stops the pages for as long as it takes, about a second where all messages are remembered."""

FORGET_WORKERS_S = 600
"""Workers come and go with the fleet; one that has been gone for so long is not listed any more."""

LARGEST_REQUEST_BYTES = 64 * 1024

Rules = Sequence[tuple[str, Any] | tuple[str, Any, dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the server is reached. `prefix` is empty or begins with a slash; port 0 is a free one."""

    address: str
    port: int
    prefix: str = ""
    certificate: Path | None = None
    key: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """Raises WrongUse where certificate and key cannot be used."""
        if self.certificate is None and self.key is None:
            return None
        if self.certificate is None or self.key is None:
            raise WrongUse("A certificate needs its key, and a key its certificate.")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise WrongUse(f"The certificate {self.certificate} cannot be used: {error}") from None
        return context


def build_flower(settings: Settings, *, database: str, logins: Logins, state: Path, place: Place, rules: Rules) -> Any:
    """Flower's application, with `rules` before its own. To be called in a running event loop.

    The broker's options are those of workers and coordinator: the shortest visibility timeout of all programs would
    win, and another key prefix would show nothing.
    """
    capp = Celery("replank-flower", set_as_current=False)
    capp.conf.update(celery_settings(settings, database=database))
    # One page looks at the options of the module instead of its application's.
    default_options.purge_offline_workers = FORGET_WORKERS_S
    options = {
        "address": place.address,
        "port": place.port,
        "url_prefix": place.prefix.strip("/") or None,
        "basic_auth": logins.basic_auth(),
        "db": str(state),
        "persistent": True,
        "state_save_interval": SAVE_EVERY_MS,
        "max_tasks": MOST_TASKS,
        "tasks_columns": COLUMNS,
        "format_task": format_task,
        "purge_offline_workers": FORGET_WORKERS_S,
        "debug": False,
    }
    own = {
        **flower_settings,
        "template_loader": templates(flower_settings),
        "debug": False,
        "autoreload": False,
        "compress_response": True,
        "cookie_secret": os.urandom(32),
        "xsrf_cookie_kwargs": {"samesite": "Strict", "secure": place.certificate is not None},
    }
    for name in ("login_url", "static_url_prefix"):
        own[name] = place.prefix + own[name]
    application = Flower(options=SimpleNamespace(**{**default_options.as_dict(), **options}), capp=capp, **own)
    application.add_handlers(".*", [(place.prefix + rule[0], *rule[1:]) for rule in rules])
    return application


def private_file(path: Path) -> Path:
    """Where Flower keeps what it saw. It is read back with pickle, so no other may write there. Raises WrongUse."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.parent.stat()
        # Flower renames any file that it cannot read as its own.
        if path.exists() and not path.is_file():
            raise WrongUse(f"{path} is no regular file; name another one with --state.")
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise WrongUse(f"The folder {path.parent} for Flower's state cannot be used: {error.strerror}") from None
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise WrongUse(f"The folder {path.parent} can be written to by others; name another one with --state.")
    return path


async def serve(application: Any, gate: Gate, place: Place, *, ready: Callable[[int], Awaitable[None]]) -> None:
    """Listen, call `ready` with the port, and follow the events until that returns."""
    server = HTTPServer(gate, ssl_options=place.tls(), max_body_size=LARGEST_REQUEST_BYTES, idle_connection_timeout=120)
    try:
        sockets = bind_sockets(place.port, address=place.address)
    except OSError as error:
        raise WrongUse(f"Cannot listen on {place.address}:{place.port}: {error.strerror}.") from None
    server.add_sockets(sockets)
    application.events.start()
    application.started = True
    application.update_workers()
    try:
        await ready(int(sockets[0].getsockname()[1]))
    finally:
        server.stop()
        # Keeps what was seen; the loop itself ends with its caller, who may still be waiting for threads.
        application.events.stop()
        application.started = False
        application.executor.shutdown(wait=False, cancel_futures=True)
        await server.close_all_connections()
        await asyncio.sleep(0)
