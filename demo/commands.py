"""`replank demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitoring.terminal.output import people, print_json
from replank.cli.options import AsJson, LocalWorkers
from replank.errors import WrongUse


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    rows: Annotated[
        int | None, typer.Option(min=1_000, help="Rows in the sample database, all tables together.")
    ] = None,
    workers: LocalWorkers = 2,
    rate: Annotated[
        float | None, typer.Option(min=1, help="The application's transactions per second, of each style of clients.")
    ] = None,
    shop: Annotated[
        bool, typer.Option("--shop", help="A shop: SQLAlchemy models and clients, and Alembic's history.")
    ] = False,
    unprepared: Annotated[
        bool, typer.Option("--unprepared", help="With --shop: its models stay as they are; see which statements fail.")
    ] = False,
    market: Annotated[
        bool, typer.Option("--market", help="A small market: only the ids, compared with the same job offline.")
    ] = False,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Rehearse the plan on a clone before.")] = False,
    there_and_back: Annotated[
        bool, typer.Option("--there-and-back", help="After the swap: roll back with all writes, and forward again.")
    ] = False,
    managed: Annotated[
        bool, typer.Option("--managed", help="As a managed service gives a database: no superuser, roles apart.")
    ] = False,
    traffic: Annotated[float, typer.Option(min=0.5, help="Seconds of traffic on old and new clients.")] = 10,
    out: Annotated[Path, typer.Option(help="The report to write.")] = Path("replank-demo.html"),
    as_json: AsJson = False,
) -> None:
    """A whole migration on embedded servers, under live writes: a platform of 71 models, all four phases.

    Example: replank demo --shop --rows 100000
    """
    if shop and market:
        raise WrongUse("--shop and --market are two databases; give one of them.")
    if unprepared and not shop:
        raise WrongUse("--unprepared is for the application of --shop.")
    if (shop or market) and (rehearse or there_and_back):
        raise WrongUse(
            f"--rehearse and --there-and-back are for the platform; leave --{'shop' if shop else 'market'} away."
        )
    # Only this command needs the embedded servers' packages; the others work without them.
    from demo.datasets import find_data_set
    from demo.demonstration.demonstration import Demonstration
    from demo.demonstration.stage import Options

    data_set = find_data_set(_name(shop=shop, unprepared=unprepared, market=market))
    options = Options(
        rows=rows or data_set.rows,
        workers=workers,
        rate=rate or data_set.rate,
        traffic_s=traffic,
        rehearse=rehearse,
        there_and_back=there_and_back,
        out=out,
        managed=managed,
    )
    console = people()
    result = Demonstration(data_set, options=options, console=console).run()
    result.show(console)
    if as_json:
        print_json(result.to_json())
    if not result.good:
        raise typer.Exit(1)


def _name(*, shop: bool, unprepared: bool, market: bool) -> str:
    if shop:
        return "shop_unprepared" if unprepared else "shop"
    return "market" if market else "platform"
