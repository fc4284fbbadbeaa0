"""`replank quarantine`: quarantined rows (listed by `monitoring`), corrections, and rows that are converted again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitoring.cli.quarantine import export, list_rows
from producer.cli.steering import act
from producer.operator.correcting import fix, give_back, read_corrections
from producer.operator.scope import scope_of
from replank.cli.options import As, DatabaseUrl, Table

File = Annotated[Path, typer.Argument(metavar="FILE.csv", help="The file of `export`, with corrected values.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Rows that are quarantined, because they cannot be converted.\n\nExample: replank quarantine list",
        no_args_is_help=True,
    )
    group.command("list")(list_rows)
    group.command("export")(export)
    group.command("fix")(fix_command)
    group.command("return")(return_command)
    app.add_typer(group, name="quarantine")


def fix_command(file: File, by: As = None, database_url: DatabaseUrl = None) -> None:
    """Write corrected values into the live tables, all or none. The next drain copies the rows.

    Example: replank quarantine fix rows.csv
    """
    act(
        "quarantine",
        database_url,
        by,
        lambda c, run, who: fix(c, run, read_corrections(file), by=who, source=str(file)),
    )


def return_command(table: Table = None, by: As = None, database_url: DatabaseUrl = None) -> None:
    """Let the next drain convert quarantined rows again: those that convert now are copied.

    Example: replank quarantine return --table orders
    """
    act("quarantine", database_url, by, lambda c, run, who: give_back(c, run, scope_of(c, run, table=table), by=who))
