"""`replank inspect` and `replank check`: both only look."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from psycopg import errors

from monitoring.terminal.activity_screen import ActivityScreen
from monitoring.terminal.output import people, print_json
from producer.alembic.models.models import read_models
from producer.check.check import audit
from producer.check.findings import Report
from producer.check.risks import AT_RISK
from producer.check.values.progress import ScanScreen
from producer.cli.models import ModelsOption, Python, Variables, interpreter_of, joined_with, say_joined
from producer.cli.prisma import matched_with, say_matched
from producer.inspect.decision import propose
from producer.inspect.evidence import Evidence, read_evidence
from producer.inspect.few_values import few_values
from producer.inspect.plan_writer import column_name, write_plan
from producer.inspect.proposal import Proposal
from producer.planning.resolution import read_plan_file
from replank.activity import doing
from replank.cli.options import AsJson, DatabaseUrl, PlanPath, SchemaName
from replank.errors import NotAnswering, TryAgain, WrongUse
from replank.plan.plan import parse_plan
from replank.settings import load_settings
from replank.sqlstates import is_connection_lost
from replank.wording import counted, verb
from sql.access.roles import act_as_owner
from sql.session.connection import Connection, connect

READ_ONLY = {"default_transaction_read_only": "on", "lock_timeout": "5s"}

Url = Annotated[
    str | None, typer.Argument(metavar="[URL]", help="The database's URL; by default REPLANK_DATABASE_URL.")
]
Out = Annotated[Path, typer.Option(help="The file for the plan; - is standard output.")]
SampleRows = Annotated[int, typer.Option("--sample", min=1, max=100_000, help="Rows to sample in each table.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing plan.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="The number of connections that read values in parallel.")]
Prisma = Annotated[
    Path | None, typer.Option(help="A schema.prisma: show the table of each model, and the differences.")
]


EveryUuid = Annotated[
    bool, typer.Option("--every-uuid", help="Propose every column that holds only uuids, not only keys.")
]


def register(app: typer.Typer) -> None:
    app.command("inspect")(inspect)
    app.command("check")(check)


def inspect(
    url: Url = None,
    out: Out = Path("plan.toml"),
    sample: SampleRows = 1_000,
    force: Force = False,
    as_json: AsJson = False,
    prisma: Prisma = None,
    models: ModelsOption = None,
    schema_name: SchemaName = "public",
    every_uuid: EveryUuid = False,
    python: Python = sys.executable,
    env: Variables = None,
) -> None:
    """Propose a plan from the live catalogue and a sample of the values. Changes nothing.

    Example: replank inspect postgresql://user@host/shop --out plan.toml
    """
    settings = load_settings(database_url=url)
    to_stdout = str(out) == "-"
    if not to_stdout and out.exists() and not force:
        raise WrongUse(_is_there(out))
    said = None if models is None else read_models(models, interpreter_of(python, env))
    with (
        in_words(),
        ActivityScreen(people()),
        connect(settings.database(), name="inspect", settings=READ_ONLY) as connection,
    ):
        act_as_owner(connection)
        matched = None if prisma is None else matched_with(connection, prisma, schema_name)
        evidence = read_evidence(connection, sample_rows=sample)
        proposal = with_enums(connection, evidence, propose(evidence, every_uuid=every_uuid))
        joined = None if said is None else joined_with(connection, said, proposal, schema_name)
    if proposal.tables:
        text = write_plan(proposal)
        parse_plan(text, source="the proposed plan")
        if to_stdout:
            sys.stdout.write(text)
        else:
            _write(out, text, force=force)
    if matched is not None:
        say_matched(matched)
    if joined is not None:
        say_joined(joined)
    _say_proposal(proposal, out)
    if as_json:
        print_json(
            proposal.to_json()
            | ({} if matched is None else {"prisma": matched.to_json()})
            | ({} if joined is None else {"models": joined.to_json()})
        )
    if not proposal.tables:
        raise typer.Exit(1)


def with_enums(connection: Connection, evidence: Evidence, proposal: Proposal) -> Proposal:
    """The proposal with what could be enums, but for the columns that become uuid."""
    named = {(table.schema, table.name): table.oid for table in evidence.tables}
    doing("searching for columns with few values")
    taken = [(named[table.schema, table.name], column.name) for table in proposal.tables for column in table.columns]
    return replace(proposal, enums=tuple(few_values(connection, evidence.tables, taken)))


@contextmanager
def in_words() -> Iterator[None]:
    """What may pass by itself becomes a message: a lock, a table changed meanwhile, a lost connection."""
    try:
        yield
    except (errors.LockNotAvailable, errors.UndefinedTable, errors.UndefinedColumn, errors.OperationalError) as error:
        said = error.diag.message_primary or str(error).strip()
        kind = NotAnswering if is_connection_lost(error) else TryAgain
        raise kind(f"Could not read the whole database: {said}. Nothing was changed. Run the command again.") from None


def _is_there(out: Path) -> str:
    return f"{out} already exists. Give another file with --out, or overwrite it with --force."


def _write(out: Path, text: str, *, force: bool) -> None:
    try:
        with out.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise WrongUse(_is_there(out)) from None
    except OSError as error:
        raise WrongUse(f"{out}: could not write the plan: {error.strerror}") from None


def _say_proposal(proposal: Proposal, out: Path) -> None:
    console = people()
    if not proposal.tables:
        console.print("No column that could become uuid was found; no plan was written.")
        for column in proposal.left_alone:
            console.print(f"  not changed: {column_name(column)}: {column.reason}", markup=False, soft_wrap=True)
        return
    columns = sum(len(table.columns) for table in proposal.tables)
    console.print(
        f"{counted(columns, 'column')} of {counted(len(proposal.tables), 'table')}, conversion sets: "
        f"{len(proposal.sets)}; {len(proposal.possible)} more {verb(len(proposal.possible), 'holds')} only uuids and "
        f"{verb(len(proposal.possible), 'is')} listed as comments, "
        f"{counted(len(proposal.left_alone), 'column', 'is')} not changed; the plan has the reason for each.",
        soft_wrap=True,
    )
    if str(out) != "-":
        console.print(f"The plan is in {out}. Read it, then run `replank check {out}`.", markup=False, soft_wrap=True)


def check(plan: PlanPath, workers: Workers = 2, as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Find everything that would stop the run or change something for the application. Changes nothing.

    Example: replank check plan.toml --workers 4
    """
    settings = load_settings(database_url=database_url)
    file = read_plan_file(plan)
    scan = ScanScreen()
    with in_words(), ActivityScreen(people(), below=scan.drawn):
        report = audit(settings, file, workers=workers, watch=scan)
    _say_report(report)
    off = file.plan.steps.off
    if off:
        people().print(f"Disabled, and not included: {', '.join(off)}.", markup=False, soft_wrap=True)
    if as_json:
        print_json(report.to_json() | {"off": list(off)})
    if report.blockers:
        raise typer.Exit(1)


def _say_report(report: Report) -> None:
    console = people()
    for title, style, findings in (
        ("blocker", "bold red", report.blockers),
        ("warning", "yellow", report.warnings),
    ):
        risk = None
        for finding in findings:
            if finding.risk is not risk:
                risk = finding.risk
                console.print(f"[dim]{AT_RISK[risk]}:[/]")
            console.print(f"[{style}]{title}[/] {finding.code}", end=" ")
            console.print(finding.words, markup=False, soft_wrap=True)
    for one in report.already:
        console.print(f"already done  {one.place}: {one.said}", markup=False, soft_wrap=True)
    console.print(
        f"{counted(report.rows, 'row')} of {counted(report.tables, 'table')} {verb(report.rows, 'was')} read.",
        markup=False,
        soft_wrap=True,
    )
    if report.hold_ms is not None:
        console.print(f"The statements of the swap took {report.hold_ms:,.0f} ms in the trial.", soft_wrap=True)
    if report.blockers:
        console.print(f"Blockers: {len(report.blockers)}, warnings: {len(report.warnings)}. The plan cannot run.")
    elif report.nothing_to_do:
        console.print("Nothing to do: this database already has everything in the plan.")
    else:
        console.print(f"No blocker; warnings: {len(report.warnings)}. `replank run` can start.")
