"""`replank compile`: the scripts of the steps, to be read before they run; `replank indexes`: what could go."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from monitoring.terminal.activity_screen import ActivityScreen
from monitoring.terminal.output import people, print_json
from producer.cli.inspect_and_check import in_words
from producer.compiling.compile_steps import write_scripts
from producer.compiling.done_by_hand import compile_again
from producer.planning.plan_session import connect_for_plan
from producer.planning.resolution import read_plan_file, refuse_other_database
from producer.starting.compile_all import compile_all
from producer.steps.clean_indexes import propose
from replank.activity import doing
from replank.cli.options import AsJson, DatabaseUrl, PlanPath
from replank.settings import load_settings
from replank.wording import counted
from sql.access.roles import act_as_owner
from sql.session.connection import connect
from sql.session.statements import READ_ONLY

Folder = Annotated[Path, typer.Option("--out", help="The folder for the scripts; it is created if it does not exist.")]


AGAIN = (
    "With psql: {steps} change the tables from which 08 to 12 are compiled. After them, run `replank compile` again "
    "before 08; it finds completed steps in the catalogue and keeps their files."
)


def register(app: typer.Typer) -> None:
    app.command("compile")(compile_plan)
    app.command("indexes")(indexes)


def compile_plan(
    plan: PlanPath,
    out: Folder,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the forward and rollback scripts of the steps as plain SQL. Changes nothing in the database.

    Example: replank compile plan.toml --out scripts
    """
    settings = load_settings(database_url=database_url)
    file = read_plan_file(plan)
    with (
        in_words(),
        ActivityScreen(people()),
        # What is composed is printed: a statement that changed something fails here, but for scratches.
        connect_for_plan(settings, file.plan, name="compile", session=READ_ONLY) as connection,
    ):
        refuse_other_database(connection, file)
        compiled = compile_all(connection, file)
    written = write_scripts(compiled, out)
    for each in compiled:
        what = (
            f"{counted(len(each.forward.blocks), 'block')}, {len(each.back.blocks)} back"
            if each.asked
            else "not in the plan"
        )
        what = "already done; its files are not changed" if each.done else what
        people().print(f"{each.step.name}: {what}", markup=False)
    people().print(f"{counted(len(written), 'script', 'is')} in {out}.", markup=False, soft_wrap=True)
    again = compile_again(compiled)
    if again:
        people().print(AGAIN.format(steps=", ".join(again)), markup=False, soft_wrap=True)
    if as_json:
        checksums = {s.name: s.checksum for each in compiled for s in (each.forward, each.back)}
        done = [each.step.name for each in compiled if each.done]
        print_json({"folder": str(out), "scripts": checksums, "done": done, "compile_again_after": again})


def indexes(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """List indexes that are duplicate, redundant, unused, bloated or invalid. Add those that you want to the plan.

    Example: replank indexes
    """
    settings = load_settings(database_url=database_url)
    console = people()
    with in_words(), ActivityScreen(people()), connect(settings.database(), name="indexes") as connection:
        act_as_owner(connection)
        doing("reading every index of the database")
        found = propose(connection)
    for proposal in found:
        size = f"{proposal.bytes / 1024 / 1024:.1f} MB"
        words = f"{proposal.action} {proposal.index} on {proposal.table} ({size}): {proposal.kind}, {proposal.reason}"
        console.print(words, markup=False, soft_wrap=True)
    console.print(
        f"{counted(len(found), 'proposal')}. Add those that you want to [steps.optimize] of the plan.", markup=False
    )
    if as_json:
        print_json({"proposals": [asdict(proposal) for proposal in found]})
