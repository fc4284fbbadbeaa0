"""`replank flower`: Flower and the run page in one server, behind one login."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import psycopg
import structlog
import typer

from monitoring.flower.login_gate import LOOPBACK, Gate
from monitoring.flower.login_guard import LoginGuard, parse_proxies
from monitoring.flower.logins import HOW, Logins, load_logins
from monitoring.flower.pools import Pools
from monitoring.flower.server import Place, build_flower, private_file, serve
from monitoring.page.handlers import Action, PageContext
from monitoring.page.routes import rules
from monitoring.page.sections import SectionReader
from monitoring.page.watcher import Reader, Reading, Watcher
from monitoring.terminal.output import people
from producer.page.actions import QUESTIONS, page_actions
from replank.cli.options import Address, BrokerUrl, DatabaseUrl, Port
from replank.errors import ReplankError, WrongUse
from replank.settings import Settings, load_settings
from replank.state_folder import of_database
from sql.ledger.reading import surroundings
from sql.ledger.reading.surroundings import WrongLogins
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import connect
from sql.session.database_identity import identity_when_up

log = structlog.get_logger()

ACTIONS_AT_ONCE = 4

NOTE_EVERY_S = 5.0
"""How often the ledger is told of wrong logins, if there are new ones: a flood must not become a flood of writes."""


def register(app: typer.Typer) -> None:
    app.command("flower")(flower)


def flower(
    address: Address = "127.0.0.1",
    port: Port = 5555,
    url_prefix: Annotated[str, typer.Option(help="The path at which a proxy serves it, e.g. /replank.")] = "",
    state: Annotated[
        Path | None, typer.Option(help="The file for Flower's state. No other user may have access to its folder.")
    ] = None,
    open_on_loopback: Annotated[
        bool, typer.Option("--open-on-loopback", help="Require no login; only with a loopback address.")
    ] = False,
    open_metrics: Annotated[
        bool,
        typer.Option("--open-metrics", help="Serve /metrics without a login, for a Prometheus in a closed network."),
    ] = False,
    trust_proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="A proxy whose X-Forwarded-For is trusted: an address or a network."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="A certificate (PEM file); the server then uses HTTPS.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key.")] = None,
    database_url: DatabaseUrl = None,
    broker_url: BrokerUrl = None,
) -> None:
    """Serve the run page and Flower. Names and passwords come from REPLANK_FLOWER_LOGINS or a file it names.

    Example: REPLANK_FLOWER_LOGINS_FILE=logins replank flower --address 0.0.0.0
    """
    settings = load_settings(database_url=database_url, broker_url=broker_url)
    place = Place(address=address, port=port, prefix=_prefix(url_prefix), certificate=tls_certificate, key=tls_key)
    place.tls()
    guard = LoginGuard(
        logins=_logins(place, open_on_loopback=open_on_loopback), proxies=parse_proxies(trust_proxy or [])
    )
    settings.broker()
    database = identity_when_up(settings.database())
    kept = private_file(state if state is not None else default_state(database))
    asyncio.run(_serve(settings, database=database, guard=guard, place=place, state=kept, open_metrics=open_metrics))


def default_state(database: str) -> Path:
    """One for each database: a broker may serve several."""
    return of_database("flower", database)


def _prefix(text: str) -> str:
    bare = text.strip("/")
    if any(not (c.isascii() and (c.isalnum() or c in "-_/")) for c in bare):
        raise WrongUse("--url-prefix may have letters, digits, - and _ between slashes.")
    return f"/{bare}" if bare else ""


def _logins(place: Place, *, open_on_loopback: bool) -> Logins:
    if not open_on_loopback:
        logins = load_logins()
        if place.certificate is None and not _is_loopback(place.address):
            log.warning(
                "passwords are sent unencrypted: give --tls-certificate, or put an HTTPS proxy before this server"
            )
        return logins
    if os.environ.get("REPLANK_FLOWER_LOGINS") or os.environ.get("REPLANK_FLOWER_LOGINS_FILE"):
        raise WrongUse("--open-on-loopback requires no login, but logins are set. Use only one of them.")
    if not _is_loopback(place.address):
        raise WrongUse(f"--open-on-loopback would admit everyone who can reach {place.address}. {HOW}")
    return Logins.without_login("a user of this machine")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address in LOOPBACK


class CountedLogins:
    """Wrong logins on their way into the ledger, where `status` and the exporter find them."""

    def __init__(self, url: str, guard: LoginGuard) -> None:
        self._url = url
        self._guard = guard
        self._noted: WrongLogins | None = None

    def note(self) -> None:
        """Write down what is new. A database that is away, or has no ledger, is told at another time."""
        counted = self._guard.wrong()
        if counted is None or counted == self._noted:
            return
        try:
            with connect(self._url, name="page logins") as connection:
                if ledger_exists(connection):
                    surroundings.note_logins(connection, counted)
        except (psycopg.Error, ReplankError) as error:
            log.info("failed logins could not be written to the ledger yet", reason=str(error).strip())
            return
        self._noted = counted


async def _serve(
    settings: Settings, *, database: str, guard: LoginGuard, place: Place, state: Path, open_metrics: bool
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    reader = Reader(settings.database())
    threads = ThreadPoolExecutor(max_workers=ACTIONS_AT_ONCE, thread_name_prefix="page-action")
    pools: list[Pools] = []
    sections = SectionReader()

    def prepare() -> Reading:
        return partial(sections.whole, pools=pools[0]() if pools else None)

    def prepare_quick() -> Reading:
        return partial(sections.quick, pools=pools[0]() if pools else None)

    actions: Mapping[str, Action] = page_actions(settings, database=database)
    context = PageContext(
        guard=guard,
        watcher=Watcher(reader=reader, prepare=prepare, prepare_quick=prepare_quick),
        reader=reader,
        actions=actions,
        threads=threads,
        prefix=place.prefix,
        questions=QUESTIONS,
    )
    application = build_flower(
        settings, database=database, logins=guard.logins, state=state, place=place, rules=rules(context)
    )
    pools.append(Pools(application=application))

    counted = CountedLogins(settings.database(), guard)

    async def until_stopped(port: int) -> None:
        scheme = "http" if place.certificate is None else "https"
        shown = f"[{place.address}]" if ":" in place.address else place.address
        people().print(f"The run page is at {scheme}://{shown}:{port}{place.prefix}/run", markup=False, soft_wrap=True)
        while not stopped.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), NOTE_EVERY_S)
            await loop.run_in_executor(threads, counted.note)

    try:
        gate = Gate(application, guard, prefix=place.prefix, open_metrics=open_metrics)
        await serve(application, gate, place, ready=until_stopped)
    finally:
        reader.close()
        threads.shutdown(wait=False, cancel_futures=True)
