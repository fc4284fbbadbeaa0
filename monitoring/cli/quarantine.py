"""`replank quarantine list` and `replank quarantine export`; `producer.cli.quarantine` has the group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from monitoring.status.quarantine import export_csv, quarantined_rows, read_quarantine, to_json
from monitoring.terminal.output import people, print_json
from replank.cli.options import AsJson, DatabaseUrl
from replank.errors import WrongUse
from replank.plan.plan import load_plan
from replank.settings import load_settings
from replank.wording import counted
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection, connect

SHOWN_ROWS = 50
LONGEST_SHOWN = 60

Source = Annotated[str | None, typer.Argument(metavar="[PLAN|URL]", help="The run's plan, or the database; optional.")]
Out = Annotated[Path, typer.Option(help="The CSV file to write.")]


@contextmanager
def _newest_run(source: str | None, database_url: str | None) -> Iterator[tuple[Connection, Run]]:
    """The newest run, which has to be one of the plan if a plan is given."""
    named = source if source is not None and "://" in source else None
    settings = load_settings(database_url=database_url or named)
    plan = load_plan(Path(source)) if source is not None and named is None else None
    with connect(settings.database(), name="quarantine") as connection:
        run = runs.latest_run(connection)
        if run is None:
            raise WrongUse("There is no run on this database.")
        if plan is not None and plan.digest() != run.plan_digest:
            raise WrongUse(
                f"The newest run on this database, run {run.run_id}, is one of another plan, or {source} was edited "
                "since it began. Without a plan, this command is about that run."
            )
        yield connection, run


def list_rows(source: Source = None, as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Every quarantined row: table, key, column, value, reason.

    Example: replank quarantine list --json
    """
    with _newest_run(source, database_url) as (connection, run), connection.transaction():
        row_counts = quarantined_rows(connection, run)
        found = read_quarantine(connection, run)
        if as_json:
            rows = [to_json(each) for each in found]
            print_json({"run_id": run.run_id, "tables": row_counts, "rows": rows})
            return
        shown = Table(title=f"Quarantined rows of run {run.run_id}")
        for heading in ("table", "key", "column", "value", "reason"):
            shown.add_column(heading, overflow="fold")
        for each in islice(found, SHOWN_ROWS):
            words = (each["table"], ", ".join(each["key"]), each["column"], each["value"] or "", each["reason"])
            shown.add_row(*(Text(word if len(word) <= LONGEST_SHOWN else word[:LONGEST_SHOWN] + "…") for word in words))
    console = people()
    if not row_counts:
        console.print("No row is quarantined.")
        return
    console.print(shown)
    for table, count in row_counts.items():
        console.print(f"{table}: {counted(count, 'row')}", markup=False)
    if sum(row_counts.values()) > SHOWN_ROWS:
        console.print(f"The first {SHOWN_ROWS} are shown. `replank quarantine export --out FILE.csv` writes them all.")


def export(out: Out, source: Source = None, database_url: DatabaseUrl = None) -> None:
    """Write every quarantined row to a CSV file; `key` and `row` are JSON.

    Example: replank quarantine export --out rows.csv
    """
    with _newest_run(source, database_url) as (connection, run), connection.transaction():
        count = export_csv(connection, run, out)
    people().print(f"{out}: {counted(count, 'row')}", markup=False)
