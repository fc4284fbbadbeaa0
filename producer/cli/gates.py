"""`replank gates`: the checklist before the data migration, checked, attested, overridden."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitoring.terminal.output import people, print_json
from producer.cli.inspect_and_check import in_words
from producer.gates.checking_gates import attest, check_gates, override
from producer.gates.making_backups import Method, make_backup
from producer.planning.plan_session import connect_for_plan
from producer.planning.resolution import PlanFile, read_plan_file, refuse_other_database
from replank.cli.options import AsJson, By, DatabaseUrl, PlanPath, Reason
from replank.errors import WrongUse
from replank.settings import load_settings
from sql.access.roles import refuse_who_cannot_work
from sql.ledger.runs import gates as ledger
from sql.ledger.runs.gates import Gate
from sql.ledger.upgrades.ledger import ensure_ledger
from sql.session.connection import Connection

COLOUR = {"open": "red", "passed": "green", "overridden": "magenta"}


class Action(StrEnum):
    SHOW = "show"
    ATTEST = "attest"
    OVERRIDE = "override"
    BACKUP = "backup"


class BackupKind(StrEnum):
    BASE = "base"
    DUMP = "dump"


ActionName = Annotated[Action, typer.Argument(help="What to do; by default, check all gates.")]
GateName = Annotated[str | None, typer.Argument(metavar="GATE", help="For attest and override.")]
Out = Annotated[Path | None, typer.Option("--out", help="For backup: the folder in which to create it.")]
Kind = Annotated[BackupKind, typer.Option(help="For backup: the whole server's files, or a dump of this database.")]


def register(app: typer.Typer) -> None:
    app.command("gates")(gates)


def gates(
    plan: PlanPath,
    action: ActionName = Action.SHOW,
    gate: GateName = None,
    by: By = "",
    note: Annotated[str, typer.Option(help="For attest: a note to record.")] = "",
    reason: Reason = "",
    out: Out = None,
    kind: Kind = BackupKind.BASE,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Check the gates before the data migration (exit 1 while one is open), attest or override one, or make a backup.

    Example: replank gates plan.toml attest team_notified --by Ada --note "mail of Monday"
    """
    settings = load_settings(database_url=database_url)
    file = read_plan_file(plan)
    with in_words(), connect_for_plan(settings, file.plan, name="gates") as connection:
        refuse_who_cannot_work(connection, "`replank gates`")
        _prepare(connection, file)
        if action is Action.ATTEST:
            attest(connection, file.plan, _named(gate, action), by=by, note=note)
        elif action is Action.OVERRIDE:
            override(connection, file.plan, _named(gate, action), by=by, reason=reason)
        elif action is Action.BACKUP:
            _back_up(connection, file, settings.database(), out, "base" if kind is BackupKind.BASE else "dump", by)
        found = check_gates(connection, file.plan)
    show(people(), found, plan)
    if as_json:
        passed = not any(each.is_open for each in found)
        print_json({"plan": file.plan.name, "passed": passed, "gates": [each.to_json() for each in found]})
    if any(each.is_open for each in found) and action is Action.SHOW:
        raise typer.Exit(1)


def _prepare(connection: Connection, file: PlanFile) -> None:
    """Gates are kept in the ledger, so it is made if it is not there yet."""
    refuse_other_database(connection, file)
    if file.plan.gates is not None:
        ledger.refuse_standby(connection)
        ensure_ledger(connection)


def _named(gate: str | None, action: Action) -> str:
    if gate is None:
        raise WrongUse(f"No gate is named. Use `replank gates PLAN {action} GATE --by WHO`.")
    return gate


def _back_up(connection: Connection, file: PlanFile, url: str, out: Path | None, method: Method, by: str) -> None:
    if file.plan.gates is None:
        raise WrongUse("This plan has no [gates], so it needs no backup. Add the section first.")
    if out is None:
        raise WrongUse("No folder is named. Use `replank gates PLAN backup --out DIR`.")
    made = make_backup(connection, url, file.plan.digest(), out=out, method=method, by=by.strip() or getpass.getuser())
    people().print(f"Backup {made.path} is created and verified.", markup=False, soft_wrap=True)


def show(console: Console, found: Sequence[Gate], plan: Path) -> None:
    """The table for people, and what would let the open ones pass."""
    if not found:
        console.print("This plan has no [gates]: its data migration starts without any condition.", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("gate", "state", "by", "when", "what was found"):
        table.add_column(heading, overflow="fold")
    for gate in found:
        when = "" if gate.at is None else f"{gate.at:%Y-%m-%d %H:%M} UTC"
        table.add_row(gate.name, Text(gate.state, style=COLOUR[gate.state]), Text(gate.by), when, Text(gate.reason))
    console.print(table)
    for gate in found:
        if gate.is_open:
            remedy = gate.remedy.replace("PLAN", str(plan))
            console.print(f"{gate.name}: {remedy}", markup=False, soft_wrap=True)
    if any(gate.is_open for gate in found):
        console.print(
            f"To override a gate: `replank gates {plan} override GATE --by WHO --reason TEXT`.",
            markup=False,
            soft_wrap=True,
        )
