"""`replank verify`: both sides of every table compared now."""

from __future__ import annotations

import typer

from monitoring.terminal.activity_screen import ActivityScreen
from monitoring.terminal.output import people, print_json
from producer.cli.inspect_and_check import in_words
from producer.rollback.compare import Comparison, compare_tables
from producer.rollback.record_differences import record_differences
from replank.cli.options import AsJson, DatabaseUrl
from replank.errors import WrongUse
from replank.settings import load_settings
from replank.wording import counted
from sql.ledger.runs import runs
from sql.session.connection import connect


def register(app: typer.Typer) -> None:
    app.command("verify")(verify)


def verify(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Compare live and next (or new and past) tables now, row by row, while the application works.

    Rows with a pending change in a change log are counted, not compared: before the swap those of the next drain, after
    it those written since the cutover.

    Exit code 1 for a mismatch: the cutover is held until a comparison finds none. 2 if no table can be compared.

    Example: replank verify --json
    """
    settings = load_settings(database_url=database_url)
    with in_words(), ActivityScreen(people()), connect(settings.database(), name="verify") as connection:
        run = runs.latest_run(connection)
        if run is None:
            raise WrongUse("There is no run on this database. There is nothing to compare.")
        found = compare_tables(connection, run)
        held = record_differences(connection, run, found)
    for one in found:
        people().print(table_words(one), markup=False, soft_wrap=True)
    for words in held:
        people().print(words, markup=False, soft_wrap=True)
    if as_json:
        print_json({"run_id": run.run_id, "tables": [one.to_json() for one in found]})
    if any(one.mismatches for one in found):
        raise typer.Exit(1)
    if all(one.mismatches is None for one in found):
        # Nothing that was compared is no proof that everything is equal.
        raise WrongUse("No table could be compared.")


def table_words(one: Comparison) -> str:
    """A line of text."""
    if one.mismatches is None:
        return f"{one.name}: not compared, {one.why}"
    left_out = f"; {one.left_out}" if one.left_out else ""
    return f"{one.name}: {counted(one.rows_live or 0, 'row')} against {one.rows_next:,}: {one.verdict}{left_out}"
