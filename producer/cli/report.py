"""`replank report`: the six success criteria, and one page for people who were not there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitoring.report.criteria import MET_WORDS, judge
from monitoring.report.facts import Compared, Facts, Given, read_facts
from monitoring.report.notes import gates_note, rehearsal_note
from monitoring.report.page import write_page
from monitoring.report.statements import ErrorsStatement, JournalStatement, read_statement
from monitoring.terminal.activity_screen import ActivityScreen
from monitoring.terminal.output import people, print_json
from producer.cli.inspect_and_check import in_words
from producer.measurement.audit_log_probe import audited_tables
from producer.measurement.measure import measure_after, plan_schemas
from producer.rollback.compare import compare_tables
from replank.activity import doing
from replank.cli.options import AsJson, DatabaseUrl
from replank.errors import WrongUse
from replank.settings import load_settings
from replank.values.states import RunState
from sql.ledger.runs import measurements, runs
from sql.ledger.runs.runs import Run
from sql.ledger.tables import tables
from sql.session.connection import Connection, connect

SWAPPED = (RunState.DONE, RunState.FINISHED)


def register(app: typer.Typer) -> None:
    app.command("report")(report)


def report(
    out: Annotated[Path | None, typer.Option(help="The HTML page to write.")] = None,
    journal: Annotated[
        Path | None, typer.Option(help='Acknowledged writes: {"checked": N, "lost": N or sentences}.')
    ] = None,
    errors: Annotated[
        Path | None, typer.Option(help='The application\'s requests: {"checked": N, "errors": N or sentences}.')
    ] = None,
    compare: Annotated[
        bool, typer.Option(help="Compare every row with the past tables now; this reads both completely.")
    ] = True,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Measure 'after' again: queries, and with probe_audit the audit log."),
    ] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Report whether the migration succeeded: six criteria with their figures, as a page or as JSON.

    Example: replank report --out report.html
    """
    if out is None and not as_json:
        raise WrongUse("Give a file for the page (--out FILE.html), or --json, or both.")
    settings = load_settings(database_url=database_url)
    said = None if journal is None else read_statement(journal, JournalStatement)
    errors_said = None if errors is None else read_statement(errors, ErrorsStatement)
    with in_words(), ActivityScreen(people()), connect(settings.database(), name="report") as connection:
        run = runs.latest_run(connection)
        if run is None:
            raise WrongUse("There is no run on this database. There is nothing to report.")
        if measure:
            measure_again(connection, run)
        compared = compared_now(connection, run) if compare else ()
        given = Given(
            journal=said,
            errors=errors_said,
            compared=compared,
            gates=gates_note(connection, run),
            rehearsal=rehearsal_note(connection, run),
        )
        facts = gather(connection, run, given)
    verdict = judge(facts)
    console = people()
    for number, one in enumerate(verdict.criteria, start=1):
        words = f"{number}. {one.criterion}: {MET_WORDS[one.met]}. {one.shown}"
        console.print(words, markup=False, soft_wrap=True)
    if out is not None:
        write_page(facts, verdict, out)
        console.print(f"The report is in {out}.", markup=False, soft_wrap=True)
    if as_json:
        print_json(verdict.to_json())


def measure_again(connection: Connection, run: Run) -> None:
    """Replace the measurement after the swap by one of now. Raises WrongUse where the tables are not swapped."""
    if run.state not in SWAPPED:
        raise WrongUse(f"Run {run.run_id} is {run.state}: it can be measured again when it is done.")
    found = measure_after(connection, run, [table.spec for table in tables.read_tables(connection, run.run_id)])
    assert found is not None
    measurements.keep(connection, run.run_id, "after", found)


def compared_now(connection: Connection, run: Run) -> tuple[Compared, ...]:
    """Every table against its past one, where that is still there; none while the run is under way."""
    if run.state not in SWAPPED:
        return ()
    return tuple(
        Compared(
            name=one.name,
            rows_past=one.rows_live,
            rows_new=one.rows_next,
            mismatches=one.mismatches,
            why=one.why,
        )
        for one in compare_tables(connection, run)
    )


def gather(connection: Connection, run: Run, given: Given) -> Facts:
    """Everything that the report says, as it is now."""
    doing("reading the facts of the run")
    schemas = plan_schemas(run.plan)
    found, unknown = audited_tables(connection, run.plan.steps, schemas)
    audited = [*(table.full_name for table in found), *unknown]
    return read_facts(connection, run, schemas=schemas, audited=audited, given=given)
