"""`replank demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from monitoring.output import people, print_json


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    rows: Annotated[int, typer.Option(min=1_000, help="Rows in the sample database, all tables together.")] = 400_000,
    workers: Annotated[int, typer.Option(min=1, help="Local workers.")] = 2,
    rate: Annotated[float, typer.Option(min=1, help="The application's transactions per second.")] = 200,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on the last line of standard output.")
    ] = False,
) -> None:
    """The main job on embedded servers, under live writes, and the same job offline for comparison."""
    # Only this command needs the embedded servers' packages; the others work without them.
    from demo.demonstration import Demonstration

    console = people()
    result = Demonstration(rows=rows, workers=workers, rate=rate, console=console).run()
    result.show(console)
    if as_json:
        print_json(result.to_json())
    if not result.good:
        raise typer.Exit(1)
