"""The revision of a plan: its file, on the single head of the application's history."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from producer.history.foreign_code import Interpreter
from producer.history.migration.notes import mark_of, notes_of
from producer.history.migration.python_source import literal
from replank.errors import WrongUse
from replank.plan.plan import Plan

PROGRAM = Path(__file__).parent / "child" / "revisions.py"
OF_CACHE = "It is the migration's own."
MADE_BY = "Written by `replank alembic`: what its plan changed, as one offline migration."
NEVER_LIVE = "The live database was migrated by Replank and has this stamped as applied: it never runs there."
DOWNGRADE = 'raise NotImplementedError("What Replank changed is undone by `replank rollback`, not by a revision.")'


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where an application's history is. `script_location` overrides what `config` says."""

    config: Path
    script_location: str | None
    interpreter: Interpreter


class Known(BaseModel):
    """A revision that is there. `doc` is the first line of its file."""

    model_config = ConfigDict(frozen=True)

    follows: tuple[str, ...]
    path: str
    doc: str


@dataclass(frozen=True, kw_only=True)
class Revision:
    """The plan's revision. `new`: it was not there yet. `text` is empty for one that was."""

    revision: str
    follows: str | None
    path: Path
    text: str
    new: bool
    descendants: frozenset[str]
    """Revisions that stand on it: a database that is at one of them has it."""


def revision_of(plan: Plan, statements: Sequence[str], environment: Environment, *, write: bool) -> Revision:
    """The plan's revision: found, or made on the single head (and only shown, without `write`).

    Raises WrongUse with several heads, and where a revision of the same plan has other statements.
    """
    said = _ask(environment, None)
    known = {name: Known.model_validate(one) for name, one in said["revisions"].items()}
    mark = mark_of(plan)
    name = hashlib.sha256("\0".join((mark, *statements)).encode()).hexdigest()[:12]
    if name in known:
        follows = next(iter(known[name].follows), None)
        return Revision(
            revision=name,
            follows=follows,
            path=Path(known[name].path),
            text="",
            new=False,
            descendants=_descendants(name, known),
        )
    others = [f"{one} ({known[one].path})" for one in known if mark in known[one].doc]
    if others:
        raise WrongUse(
            f"Revision {', '.join(others)} is of this plan and has other statements: the plan's tables have changed "
            "since. Remove it, unless a database has it already, and write it again."
        )
    heads: list[str] = said["heads"]
    if len(heads) > 1:
        raise WrongUse(
            f"The history has {len(heads)} heads: {', '.join(sorted(heads))}. Join them with `alembic merge heads`."
        )
    make = {
        "revision": name,
        "message": mark,
        "upgrades": upgrade_body(statements, notes_of(plan, OF_CACHE)),
        "downgrades": DOWNGRADE,
        "write": write,
    }
    made = _ask(environment, make)["made"]
    return Revision(
        revision=name,
        follows=next(iter(heads), None),
        path=Path(made["path"]),
        text=made["text"],
        new=True,
        descendants=frozenset(),
    )


def _ask(environment: Environment, make: Mapping[str, object] | None) -> Any:
    config = environment.config.absolute()
    if not config.is_file() and environment.script_location is None:
        raise WrongUse(f"{environment.config} is not there: name Alembic's file with --config, or --script-location.")
    wish = {"config": str(config), "script_location": environment.script_location, "make": make}
    return environment.interpreter.ask(PROGRAM, wish=wish)


def _descendants(name: str, known: Mapping[str, Known]) -> frozenset[str]:
    found = {name}
    while more := {one for one, revision in known.items() if found & set(revision.follows)} - found:
        found |= more
    return frozenset(found - {name})


def upgrade_body(statements: Sequence[str], notes: Sequence[str]) -> str:
    """What `upgrade()` does, indented as its body but for the first line."""
    said = "".join(f"# {note}\n    " for note in (MADE_BY, NEVER_LIVE, *notes))
    if not statements:
        return f"{said}pass"
    listed = "".join(f"        {literal(statement)},\n" for statement in statements)
    return (
        f"{said}statements = (\n{listed}    )\n"
        "    for statement in statements:\n"
        "        # A colon is the statement's own, never a parameter.\n"
        '        op.execute(statement.replace(":", "\\\\:"))'
    )
