"""`replank partitions`: partitions for the time to come, and those that are past keeping."""

from __future__ import annotations

from typing import Annotated

import typer

from monitoring.terminal.output import people, print_json
from producer.cli.inspect_and_check import in_words
from producer.partitions.upkeep import Kept, keep_partitions
from producer.planning.plan_session import connect_for_plan
from producer.planning.resolution import read_plan_file, refuse_other_database
from replank.cli.options import AsJson, DatabaseUrl, PlanPath
from replank.settings import load_settings
from replank.wording import counted
from sql.swap.event_triggers import let_fire

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
WithChecks = Annotated[
    bool,
    typer.Option(
        "--with-checks",
        help="Scan a large DEFAULT partition before the lock; rows of the new range are rejected meanwhile.",
    ),
]


def register(app: typer.Typer) -> None:
    app.command("partitions")(partitions)


def partitions(
    plan: PlanPath,
    as_json: AsJson = False,
    dry_run: DryRun = False,
    with_checks: WithChecks = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Create the partitions that will be needed, and remove expired ones as the plan says. Run it daily.

    Example: replank partitions plan.toml --dry-run
    """
    settings = load_settings(database_url=database_url)
    file = read_plan_file(plan)
    console = people()
    with in_words(), connect_for_plan(settings, file.plan, name="partitions") as connection:
        refuse_other_database(connection, file)
        let_fire(connection)
        kept = keep_partitions(
            connection,
            file.plan,
            dry_run=dry_run,
            with_checks=with_checks,
            say=lambda words: console.print(words, markup=False, soft_wrap=True),
        )
    for one in kept:
        for words in _words(one, dry_run=dry_run):
            console.print(f"{one.table}: {words}", markup=False, soft_wrap=True)
    if as_json:
        print_json({"dry_run": dry_run, "tables": [one.to_json() for one in kept]})
    if any(one.problems for one in kept):
        raise typer.Exit(1)


def _words(kept: Kept, *, dry_run: bool) -> list[str]:
    would = "would be " if dry_run else ""
    told = [
        f"{name} {would}{what}"
        for names, what in ((kept.created, "created"), (kept.detached, "detached"), (kept.dropped, "dropped"))
        for name in names
    ]
    if kept.rows_moved:
        told.append(f"{counted(kept.rows_moved, 'row')} {would}moved out of the DEFAULT partition")
    told += [f"problem: {problem}" for problem in kept.problems]
    return told or ["all partitions exist; nothing to do"]
