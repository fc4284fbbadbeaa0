"""After the run: the project's models and Alembic's history follow, and Alembic itself says whether they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from demo.datasets.data_set import AlembicFailed, Project
from demo.demonstration.stage import Stage
from replank.errors import NeedsOperator
from replank.wording import counted

FOLDER = "project"
"""The copy of the project, beside the plan."""

FAILING = ("query_sends_text", "query_will_break", "query_conflict_target", "queries_not_shown")
"""Codes of warnings about statements."""

HIDDEN = "statements_hidden"
"""The code for a role that may not read other roles' statements."""

SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class History:
    """What became of models and revisions.

    patched, by_hand: types and defaults that `replank alembic` has changed in the models, and those that it has listed;
    compared: what `alembic check` said; same: whether it found no difference; stamped: whether the database is at the
    revision.
    """

    revision: str
    patched: int
    by_hand: int
    compared: str
    same: bool
    stamped: bool

    @property
    def good(self) -> bool:
        return self.same and self.stamped


def propose(stage: Stage, project: Project) -> None:
    """A plan by what the catalogue and the models say."""
    told = stage.product.ask("inspect", "--every-uuid", "--out", "plan.toml", *_models(stage, project))
    columns = sum(len(table["columns"]) for table in told["tables"])
    keyless = [one for table in told["models"]["tables"] for one in table["keyless"]]
    stage.narrator.say(
        f"`replank inspect --models` found {counted(len(told['models']['tables']), 'table')} of the models in the "
        f"database, {counted(len(keyless), 'relationship')} without a foreign key, and proposed "
        f"{counted(columns, 'column')} of ids"
    )


def check(stage: Stage) -> None:
    """With what the server has seen of the clients' statements; in words only what is about these."""
    told = stage.product.ask("check", "plan.toml")
    failing = [one for one in told["warnings"] if one["code"] in FAILING]
    hidden = [one for one in told["warnings"] if one["code"] == HIDDEN]
    if hidden and not failing:
        stage.narrator.say(
            f"`replank check` cannot say which of the clients' statements will fail: {hidden[0]['message']}"
        )
        return
    named = f"names {len(failing)}" if failing else "finds none"
    stage.narrator.say(
        f"of the clients' statements that the server has seen, `replank check` {named} that will fail after the swap"
    )
    for one in failing[:SHOWN]:
        stage.narrator.say(one["message"])


def _models(stage: Stage, project: Project) -> tuple[str, ...]:
    """The options that name the models, for commands that are called beside the plan."""
    return ("--models", project.models, "--env", f"PYTHONPATH={stage.folder / FOLDER}")


def follow(stage: Stage, project: Project) -> History:
    """Write the revision and the models, stamp the database, do what is listed, and let Alembic compare."""
    folder = stage.folder / FOLDER
    stage.narrator.say("the models and the history follow; the application still writes")
    with stage.narrator.timed("alembic"):
        told = stage.product.ask(
            "alembic", "plan.toml", "--config", str(folder / "alembic.ini"), *_models(stage, project), "--apply"
        )
        revision = str(told["revision"]["revision"])
        patched = [change for change in told["models"] if change["patched"]]
        listed = [change for change in told["models"] if not change["patched"]]
        stage.narrator.say(
            f"`replank alembic --apply` wrote revision {revision}, stamped the database with it, and changed "
            f"{counted(len(patched), 'column')} in the models: {_said(patched[0])}, and so on"
        )
        for change in listed:
            _by_hand(folder, project, change)
            stage.narrator.say(f"by hand, as it listed: {_said(change)}")
        history = _compare(stage, project, folder, revision, patched=len(patched), by_hand=len(listed))
    stage.narrator.say(f"`alembic check` compared models and database: {history.compared}")
    return history


def _said(change: Mapping[str, Any]) -> str:
    return f"{change['table']}.{change['column']}: {change['old']} becomes {change['new']}"


def _by_hand(folder: Path, project: Project, change: Mapping[str, Any]) -> None:
    """Raises NeedsOperator for a change that nobody has thought of."""
    edit = project.by_hand.get((change["table"], change["column"]))
    text = "" if edit is None else (folder / edit.file).read_text(encoding="utf-8")
    if edit is None or edit.old not in text:
        raise NeedsOperator(f"{change['table']}.{change['column']} of the models needs an edit that is not known.")
    (folder / edit.file).write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def _compare(stage: Stage, project: Project, folder: Path, revision: str, *, patched: int, by_hand: int) -> History:
    with psycopg.connect(stage.urls.run) as connection:
        versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    # It ends with an error where it finds a difference, or a revision that was not applied.
    try:
        compared, same = project.alembic(stage.urls.run, "check", folder=folder), True
    except AlembicFailed as failed:
        compared, same = str(failed), False
    return History(
        revision=revision,
        patched=patched,
        by_hand=by_hand,
        compared=compared.strip().splitlines()[-1],
        same=same,
        stamped=versions == [(revision,)],
    )
