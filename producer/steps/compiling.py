"""The compiler: a plan and a live catalogue become the scripts of every step, forward and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from producer.steps import audit_log, clean_indexes, enums, mappings, missing_indexes, permission_cache, uuid_fields
from producer.steps.compiled import CompiledStep
from producer.steps.schema_file import schema_change
from replank.errors import WrongUse
from replank.plan import Plan
from replank.steps import BY_NAME, STEPS, Step
from sql.connection import Connection
from sql.file_change import FileChange
from sql.scripts import Block, Script, render

MANIFEST = "MANIFEST.json"
SCHEMA_STEP = 6

PURPOSES = {
    1: "Native uuid columns for tables that have none",
    2: "Indexes for foreign keys that have none, and the plan's own",
    3: "Tables for audit logs, and triggers that capture every change",
    4: "A cache of permissions, made stale by triggers",
    5: "Enum types with the values they should have",
    6: "Prisma's schema file follows the plan",
    7: "Other names for tables and columns; views under the old ones",
    11: "Past tables and what is deprecated go; afterwards there is no way back",
    12: "Indexes that nobody needs go; bloated ones are built again",
}

OF_TABLES = (11,)
"""What is compiled with the pass over the tables (`producer.steps.drop_deprecated`)."""


def compile_steps(connection: Connection, plan: Plan, folder: Path = Path()) -> list[CompiledStep]:
    """The scripts of the steps that are scripts. Raises WrongUse where the plan does not fit the database.

    `folder` is that of the plan: names of files in it go from there.
    """
    found = _facts(connection, plan)
    change = schema_change(connection, plan, folder)
    return [
        _of_file(step, plan, change)
        if step.number == SCHEMA_STEP
        else compiled_step(step, plan, found.get(step.number))
        for step in STEPS
        if step.number in PURPOSES and step.number not in OF_TABLES
    ]


def without_phases(plan: Plan, before: int) -> Plan:
    """The plan without what it asks of the scripts of phases before this one."""
    first = {"uuid_fields": None, "indexes": None, "audit_log": None, "permission_cache": None, "enums": ()}
    second = {"mappings": None}
    steps = plan.steps.model_copy(update=(first if before > 1 else {}) | (second if before > 2 else {}))
    return plan.model_copy(update={"steps": steps} | ({"prisma": None} if before > 2 else {}))


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
            (step.rollback_name, f"Takes back what {step.name} has done", change[1]),
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


def _facts(connection: Connection, plan: Plan) -> Mapping[int, Mapping[str, Any]]:
    """What each step that the plan asks for needs to know, by its number."""
    asked = plan.steps
    found: dict[int, Mapping[str, Any]] = {}
    if asked.uuid_fields is not None:
        found[1] = uuid_fields.facts(connection, asked.uuid_fields)
    if asked.indexes is not None:
        found[2] = missing_indexes.facts(connection, asked.indexes)
    if asked.audit_log is not None:
        found[3] = audit_log.facts(connection, asked.audit_log)
    if asked.permission_cache is not None:
        found[4] = permission_cache.facts(connection, asked.permission_cache, asked.mappings)
    if asked.enums:
        found[5] = enums.facts(connection, asked.enums)
    if asked.mappings is not None:
        renames = mappings.facts(connection, asked)
        found |= {} if renames is None else {7: renames}
    if asked.optimize is not None:
        found[12] = clean_indexes.facts(connection, asked.optimize)
    return found


def compiled_step(step: Step, plan: Plan, facts: Mapping[str, Any] | None) -> CompiledStep:
    """A step's scripts from its templates; without facts they have nothing to do."""
    forward, back = (
        Script(
            name=name,
            purpose=purpose,
            lock_timeout_ms=plan.options.lock_timeout_ms,
            blocks=() if facts is None else render(name, facts),
        )
        for name, purpose in (
            (step.name, PURPOSES[step.number]),
            (step.rollback_name, f"Takes back what {step.name} has done"),
        )
    )
    return CompiledStep(step=step, forward=forward, back=back)


def write_scripts(compiled: Sequence[CompiledStep], folder: Path) -> list[Path]:
    """The scripts as files, and a manifest of their checksums. Raises WrongUse where the folder cannot be written."""
    written: list[Path] = []
    checksums: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for script in (script for each in compiled for script in (each.forward, each.back)):
            path = folder / script.file_name
            path.write_text(script.text, encoding="utf-8")
            written.append(path)
            checksums[path.name] = script.checksum
        (folder / MANIFEST).write_text(json.dumps(checksums, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"{folder}: the scripts cannot be written: {error.strerror}") from None
    return written


def step_named(name: str) -> Step:
    """A step by its whole name, or by its number. Raises WrongUse if there is none."""
    for step in STEPS:
        if name in (step.name, str(step.number), f"{step.number:02}"):
            return step
    raise WrongUse(f"There is no step {name}. The steps are: {', '.join(BY_NAME)}.")
