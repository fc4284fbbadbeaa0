"""The compiler: a plan and a live catalogue become the scripts of every step, forward and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from producer.compiling.schema_file import schema_change
from producer.steps import audit_log, clean_indexes, enums, mappings, missing_indexes, permission_cache, uuid_fields
from producer.steps.compiled import CompiledStep
from replank.errors import WrongUse
from replank.plan.plan import Plan
from replank.plan.steps.steps_plan import StepsPlan
from replank.values.steps import BY_NAME, STEPS, Step
from sql.scripts.file_change import FileChange
from sql.scripts.script_templates import NOT_ASKED, Block, Script, render
from sql.session.connection import Connection

MANIFEST = "MANIFEST.json"
SCHEMA_STEP = 6

PURPOSES = {
    1: "Native uuid columns for tables that have none",
    2: "Indexes for foreign keys that have none, and the plan's own",
    3: "Tables for audit logs, and triggers that capture every change",
    4: "A cache of permissions, invalidated by triggers",
    5: "Enum types with the values they should have",
    6: "Prisma's schema file follows the plan",
    7: "Tables and columns are renamed; views have the old names",
    11: "Past tables and what is deprecated are dropped; afterwards no rollback is possible",
    12: "Unused indexes are dropped; bloated ones are built again",
}

DONE = "it has run already; the script that was compiled before it ran rolls it back"

OF_TABLES = (11,)
"""What is compiled with the pass over the tables (`producer.compiling.drop_deprecated`)."""


def compile_steps(
    connection: Connection, plan: Plan, folder: Path = Path(), *, done: Collection[int] = ()
) -> list[CompiledStep]:
    """The scripts of the steps that are scripts. Raises WrongUse where the plan does not fit the database.

    `folder` is that of the plan: names of files in it go from there. `done` are the numbers of steps that psql has run.
    """
    found, there = _facts(connection, plan, done)
    change = schema_change(connection, plan, folder)
    made = [
        _of_file(step, plan, change)
        if step.number == SCHEMA_STEP
        else compiled_step(step, plan, found.get(step.number), why_nothing=DONE if step.number in there else NOT_ASKED)
        for step in STEPS
        if step.number in PURPOSES and step.number not in OF_TABLES
    ]
    # Where others have run, a schema file that needs no change has been changed.
    ran = {*done, *((SCHEMA_STEP,) if done and plan.prisma is not None and change is None else ())}
    return [replace(each, done=each.step.number in ran) for each in made]


def _of_file(step: Step, plan: Plan, change: tuple[FileChange, FileChange] | None) -> CompiledStep:
    """A step that changes a file. Nothing of it runs in the database."""
    if change is None:
        return compiled_step(step, plan, None)
    forward, back = (
        Script(
            name=name,
            purpose=purpose,
            lock_timeout_ms=plan.options.lock_timeout_ms,
            blocks=(Block(purpose=f"{each.path} of {each.host}", sql=each.diff),),
            change=each,
        )
        for name, purpose, each in (
            (step.name, PURPOSES[step.number], change[0]),
            (step.rollback_name, f"Rolls back {step.name}", change[1]),
        )
    )
    return CompiledStep(step=step, forward=forward, back=back)


def as_stored(plan: Plan, kept: Mapping[str, Script]) -> list[CompiledStep]:
    """The steps of a run that has begun, by the scripts that it keeps; those it does not keep were not asked for."""
    steps = [step for step in STEPS if step.number in PURPOSES and step.number not in OF_TABLES]
    return [stored_step(step, plan, kept) for step in steps]


def stored_step(step: Step, plan: Plan, kept: Mapping[str, Script]) -> CompiledStep:
    """One step by the scripts that a run keeps of it, or with nothing to do."""
    empty = compiled_step(step, plan, None)
    return CompiledStep(
        step=step,
        forward=kept.get(step.name, empty.forward),
        back=kept.get(step.rollback_name, empty.back),
    )


def _facts(
    connection: Connection, plan: Plan, done: Collection[int]
) -> tuple[Mapping[int, Mapping[str, Any]], set[int]]:
    """What each step that the plan asks for needs to know, by its number, and those that cannot be made again."""
    found: dict[int, Mapping[str, Any]] = {}
    there: set[int] = set()
    for number, facts in _asked(connection, plan.steps).items():
        try:
            known = facts()
        except WrongUse as error:
            # What is there already cannot be made again, and old names are gone.
            if number not in done:
                raise WrongUse(f"{error}{_half_there(number, done)}") from None
            there.add(number)
        else:
            found |= {} if known is None else {number: known}
    return found, there


def _half_there(number: int, done: Collection[int]) -> str:
    """What to do about a step that does not fit while others have run by psql; nothing where none has."""
    if not done or number > SCHEMA_STEP + 1:
        return ""
    ran = ", ".join(f"{each:02}" for each in sorted(done))
    return (
        f"\nOf the steps before the tables, {ran} have run by psql; {number:02} has not, or not completely. Run its "
        "script that was compiled before them, or roll these back first."
    )


def _asked(connection: Connection, asked: StepsPlan) -> Mapping[int, Callable[[], Mapping[str, Any] | None]]:
    found: dict[int, Callable[[], Mapping[str, Any] | None]] = {}
    if (fields := asked.uuid_fields) is not None:
        found[1] = lambda: uuid_fields.facts(connection, fields)
    if (indexes := asked.indexes) is not None:
        found[2] = lambda: missing_indexes.facts(connection, indexes)
    if (log := asked.audit_log) is not None:
        found[3] = lambda: audit_log.facts(connection, log)
    if (cache := asked.permission_cache) is not None:
        found[4] = lambda: permission_cache.facts(connection, cache, asked.mappings)
    if asked.enums:
        found[5] = lambda: enums.facts(connection, asked.enums)
    if asked.mappings is not None:
        found[7] = lambda: mappings.facts(connection, asked)
    if (optimize := asked.optimize) is not None:
        found[12] = lambda: clean_indexes.facts(connection, optimize)
    return found


def compiled_step(
    step: Step, plan: Plan, facts: Mapping[str, Any] | None, *, why_nothing: str = NOT_ASKED
) -> CompiledStep:
    """A step's scripts from its templates; without facts they have nothing to do."""
    forward, back = (
        Script(
            name=name,
            purpose=purpose,
            lock_timeout_ms=plan.options.lock_timeout_ms,
            blocks=() if facts is None else render(name, facts),
            why_nothing=why_nothing,
        )
        for name, purpose in (
            (step.name, PURPOSES[step.number]),
            (step.rollback_name, f"Rolls back {step.name}"),
        )
    )
    return CompiledStep(step=step, forward=forward, back=back)


def write_scripts(compiled: Sequence[CompiledStep], folder: Path) -> list[Path]:
    """The scripts as files, and a manifest of their checksums. Raises WrongUse where the folder cannot be written.

    Files of steps that psql has run stay as they are: only they can roll these steps back.
    """
    written: list[Path] = []
    checksums: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for step in compiled:
            for script in (step.forward, step.back):
                kept = _file_of(script, folder) if step.done else None
                path = kept or folder / script.file_name
                if kept is None:
                    path.write_text(script.text, encoding="utf-8")
                    written.append(path)
                checksums[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / MANIFEST).write_text(json.dumps(checksums, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"{folder}: the scripts cannot be written: {error.strerror}") from None
    return written


def _file_of(script: Script, folder: Path) -> Path | None:
    """A file of this script that is there, of either kind."""
    return next((path for ending in ("sql", "diff") if (path := folder / f"{script.name}.{ending}").exists()), None)


def step_named(name: str) -> Step:
    """A step by its whole name, or by its number. Raises WrongUse if there is none."""
    for step in STEPS:
        if name in (step.name, str(step.number), f"{step.number:02}"):
            return step
    raise WrongUse(f"There is no step {name}. The steps are: {', '.join(BY_NAME)}.")
