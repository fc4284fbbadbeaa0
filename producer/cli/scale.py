"""`replank scale`: change how many processes of the running workers work."""

from __future__ import annotations

from typing import Annotated

import typer

from monitoring.terminal.output import people
from producer.operator.operator import operator_of_shell
from producer.operator.pools import Pools
from producer.operator.saying import open_run
from producer.operator.scaling import scale
from replank.settings import load_settings
from sql.access.roles import connect_to_change
from sql.session.database_identity import database_identity


def register(app: typer.Typer) -> None:
    app.command("scale")(scale_command)


def scale_command(
    processes: Annotated[int, typer.Argument(min=1, help="How many processes shall work, in all workers together.")],
    worker: Annotated[str | None, typer.Option(help="Only this worker, by the name that `scale` shows.")] = None,
    by: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who you are; the login name otherwise.")] = (
        None
    ),
    database_url: Annotated[str | None, typer.Option(help="Overrides REPLANK_DATABASE_URL.")] = None,
    broker_url: Annotated[str | None, typer.Option(help="Overrides REPLANK_BROKER_URL.")] = None,
) -> None:
    """Grow or shrink the pools of running workers, so that so many processes work in all.

    Example: replank scale 8
    """
    operator = operator_of_shell(by)
    settings = load_settings(database_url=database_url, broker_url=broker_url)
    settings.broker()
    with connect_to_change(settings.database(), name="scale", what="`replank scale`") as connection:
        run = open_run(connection)
        with Pools(settings, database=database_identity(connection)) as pools:
            said = scale(connection, run, pools, processes, by=operator, worker=worker)
    people().print(said, markup=False, soft_wrap=True)
