"""What a rollback would undo, where, and the question whether that is meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer

from monitoring.status.rollback_possible import read_rollback_facts
from producer.operator.incomplete_data import incomplete_data
from producer.planning.resolution import PlanFile, refuse_other_database
from replank.errors import WrongUse
from replank.values.states import RunState
from replank.values.steps import BY_NAME, Step
from replank.wording import counted
from sql.ledger.runs import runs, scripts
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, conversion_sets, tables
from sql.ledger.tables.tables import RunTable
from sql.rows.reverse_capture import waiting_changes
from sql.session.connection import Connection

SHOWN = 40

NAMED = 5
"""So many tables tell people which plan a run is of."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """What a rollback of one run does, as lines for the operator. `host` is a name or folder with a port."""

    run: Run
    database: str
    host: str
    lines: tuple[str, ...]
    incomplete_data: tuple[str, ...] = ()
    """What is quarantined, what failed."""

    def to_json(self) -> dict[str, Any]:
        return {"run_id": self.run.run_id, "plan": self.run.plan_name, "database": self.database, "host": self.host}


def read_extent(connection: Connection, run: Run, to: Step | None) -> Extent:
    """From ledger and catalogue; nothing is changed."""
    sets, present = conversion_sets.read_sets(connection, run.run_id), tables.read_tables(connection, run.run_id)
    swapped = {s.set_no for s in sets if s.swapped_at and not s.swapped_back_at}
    rollback_facts = read_rollback_facts(connection, run, sets, present)
    closed = (
        frozenset(one.table for one in rollback_facts.closed_tables) if rollback_facts is not None else frozenset[str]()
    )
    lines = [_describe_table(connection, table, swapped, closed) for table in present]
    lines += [] if rollback_facts is None else [f"! {warning}" for warning in rollback_facts.warnings]
    for cache in caches.read_caches(connection, run.run_id):
        lines.append(f"cache {cache.name}: what was built for it is removed, unless it is rebuilt already")
    last = to or (BY_NAME[run.rollback_to] if run.rollback_to else None)
    for script in scripts.forward_scripts(connection, run.run_id):
        if script.blocks_done and (last is None or script.step.number > last.number):
            lines.append(f"step {script.step.name}: its script is undone")
    info = connection.info
    return Extent(
        run=run,
        database=info.dbname,
        host=f"{info.host}:{info.port}",
        lines=tuple(lines),
        incomplete_data=incomplete_data(connection, run),
    )


def _describe_table(connection: Connection, table: RunTable, swapped: set[int], closed: frozenset[str]) -> str:
    name = table.spec.full_name
    if name in closed:
        return f"{name}: this will be refused, because a rollback would lose changes"
    if table.set_no in swapped and table.spec.method != "backfill":
        count = waiting_changes(connection, [table.spec])
        return f"{name}: the past table becomes live again, with {counted(count, 'change')} written since"
    if table.spec.method == "backfill":
        return f"{name}: the values that the backfill wrote are removed"
    return f"{name}: next table, change log and capture are removed"


def refuse_other_plan(connection: Connection, run: Run, file: PlanFile) -> None:
    """Raises WrongUse if the plan that was named is for another database, or the run is of another plan or wording."""
    refuse_other_database(connection, file)
    if file.plan.name != run.plan_name:
        raise WrongUse(
            f"{file.at('name')}: this is plan {file.plan.name}, but run {run.run_id} of database "
            f"{connection.info.dbname} is of plan {run.plan_name}. Check the URL; `replank status` shows the run."
        )
    # Every plan that `inspect` writes has its database's name: only the digest tells two of them apart.
    if file.plan.digest() != run.plan_digest:
        raise WrongUse(
            f"{file.source}: run {run.run_id} of database {connection.info.dbname} ({run.state}, "
            f"{_describe_plan(run)}) is of another version of this plan. Nothing was changed. "
            + _suggest_run(connection, run, file)
        )


def _describe_plan(run: Run) -> str:
    """What the run's own plan is about: names that tell it from another of the same name."""
    names = [table.full_name for table in run.plan.tables] or [cache.full_name for cache in run.plan.caches]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"its plan names {', '.join(names[:NAMED])}{more}" if names else "its plan names no table"


def _suggest_run(connection: Connection, run: Run, file: PlanFile) -> str:
    """How to continue: with this plan's own run, or with the one that is open."""
    own = runs.finished_run_of(connection, file.plan)
    words = ""
    if own is not None and own.state is RunState.DONE:
        words = f"This plan's run is run {own.run_id}: `replank rollback {file.source} --run {own.run_id}`. "
    named = f"`replank rollback --run {run.run_id}`" if run.state is RunState.DONE else "`replank rollback`"
    return (
        f"{words}Was the file edited since the run began? If run {run.run_id} is the one you mean: {named}, without a "
        "plan, shows what it would undo and asks."
    )


def confirm_rollback(extent: Extent, say: Callable[[str], None]) -> None:
    """Print what is undone; continue only if the database's name is typed. Raises typer.Exit with 1 otherwise."""
    run = extent.run
    say(
        f"Run {run.run_id} of plan {run.plan_name} in database {extent.database} on {extent.host} is {run.state}. "
        "The rollback does this:"
    )
    for line in extent.lines[:SHOWN]:
        say(f"  {line}")
    if len(extent.lines) > SHOWN:
        say(f"  … and {len(extent.lines) - SHOWN} more")
    for line in extent.incomplete_data:
        say(line)
    if typer.prompt("To roll it back, type the database's name", default="", show_default=False, err=True) != (
        extent.database
    ):
        say("That is not the database's name. Nothing was changed.")
        raise typer.Exit(1)
