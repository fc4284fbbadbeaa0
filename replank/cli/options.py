"""Options and arguments that several commands have: each is declared once, so that it says the same everywhere.

An option that one command alone has stands in that command's module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PlanPath = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan, as `replank inspect` writes it.")]

DatabaseUrl = Annotated[str | None, typer.Option("--database-url", help="Overrides REPLANK_DATABASE_URL.")]
BrokerUrl = Annotated[str | None, typer.Option("--broker-url", help="Overrides REPLANK_BROKER_URL.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on the last line of standard output.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]

As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Your name; by default the login name.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="The name of the person who answers for it.")]
Reason = Annotated[str, typer.Option("--reason", help="The reason; it is shown and recorded.")]

Table = Annotated[str | None, typer.Option("--table", help="Only this table or cache, e.g. public.orders.")]
Targets = Annotated[Path, typer.Option("--targets", help="The file of databases: NAME URL on each line, or TOML.")]
SchemaName = Annotated[
    str, typer.Option("--schema-name", help="The schema of models that name none; Prisma's URL says ?schema=….")
]

LocalWorkers = Annotated[int, typer.Option("--workers", min=1, help="Local workers to start for each run.")]

Address = Annotated[str, typer.Option("--address", help="The address to listen on; 0.0.0.0 or :: for other hosts.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65_535, help="The port; 0 chooses a free one and prints it.")]
