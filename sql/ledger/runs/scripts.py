"""The scripts of a run in the ledger: as they were compiled, and how far they have run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from psycopg.types.json import Jsonb

from replank.values.steps import BY_NAME, PHASES, Step
from sql.scripts.file_change import FileChange
from sql.scripts.script_templates import Block, Script
from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import query

Direction = Literal["forward", "back"]


@dataclass(frozen=True, kw_only=True)
class PlannedScript:
    """A script of a run. `blocks_done` of its blocks need not run again."""

    run_id: int
    step: Step
    direction: Direction
    script: Script
    blocks_done: int
    finished: bool


def add_script(connection: Connection, run_id: int, step: Step, direction: Direction, script: Script) -> None:
    connection.execute(
        query("scripts.add"),
        {
            "run_id": run_id,
            "step": step.name,
            "phase": step.phase,
            "phase_name": PHASES[step.phase],
            "direction": direction,
            "document": Jsonb(asdict(script)),
            "checksum": script.checksum,
            "blocks": len(script.blocks),
        },
    )


def forward_scripts(connection: Connection, run_id: int) -> list[PlannedScript]:
    """Every script of the run, in the order of the steps."""
    return _planned(rows(connection, query("scripts.forward"), {"run_id": run_id}))


def all_scripts(connection: Connection, run_id: int) -> list[PlannedScript]:
    """Every script of the run and its rollback."""
    return _planned(rows(connection, query("scripts.both"), {"run_id": run_id}))


def rollback_scripts(connection: Connection, run_id: int) -> list[PlannedScript]:
    """The rollbacks of what has begun, the last step first."""
    return _planned(rows(connection, query("scripts.back"), {"run_id": run_id}))


def begun_of_step(connection: Connection, step: str) -> list[Script]:
    """The scripts of a step that have begun and were not rolled back, of all runs, the oldest first."""
    return [_script(r["document"]) for r in rows(connection, query("scripts.begun_of_step"), {"step": step})]


@dataclass(frozen=True, kw_only=True)
class PassScript:
    """A script of the pass. `reviewed` says that it was compared with what the operator had read."""

    script: Script
    reviewed: bool


def keep_pass_script(
    connection: Connection, run_id: int, step: Step, direction: Direction, script: Script, *, reviewed: bool
) -> None:
    connection.execute(
        query("scripts.keep_pass"),
        {
            "run_id": run_id,
            "step": step.name,
            "direction": direction,
            "document": Jsonb(asdict(script)),
            "checksum": script.checksum,
            "reviewed": reviewed,
        },
    )


def pass_scripts(connection: Connection, run_id: int) -> dict[str, PassScript]:
    """By their names."""
    found = rows(connection, query("scripts.pass"), {"run_id": run_id})
    made = [PassScript(script=_script(r["document"]), reviewed=r["reviewed"]) for r in found]
    return {each.script.name: each for each in made}


def _planned(found: Iterable[dict[str, Any]]) -> list[PlannedScript]:
    return [
        PlannedScript(
            run_id=r["run_id"],
            step=BY_NAME[r["step"]],
            direction=r["direction"],
            script=_script(r["document"]),
            blocks_done=r["blocks_done"],
            finished=r["finished_at"] is not None,
        )
        for r in found
    ]


def _script(document: dict[str, Any]) -> Script:
    blocks = tuple(Block(**block) for block in document["blocks"])
    change = None if document["change"] is None else FileChange(**document["change"])
    return Script(**{**document, "blocks": blocks, "change": change})


def start(connection: Connection, planned: PlannedScript) -> None:
    connection.execute(query("scripts.start"), _id(planned))


def note(connection: Connection, planned: PlannedScript, done: int) -> None:
    connection.execute(query("scripts.note"), {**_id(planned), "done": done})


def finish(connection: Connection, planned: PlannedScript) -> None:
    connection.execute(query("scripts.finish"), _id(planned))


def forget(connection: Connection, planned: PlannedScript) -> None:
    """A step that was rolled back has not begun."""
    connection.execute(query("scripts.forget"), _id(planned))


def _id(planned: PlannedScript) -> dict[str, Any]:
    step = planned.step
    return {"run_id": planned.run_id, "step": step.name, "phase": step.phase, "direction": planned.direction}


def has_step(connection: Connection, run_id: int, step: str) -> bool:
    return bool(value(connection, query("scripts.has_step"), {"run_id": run_id, "step": step}))


def present_step(connection: Connection, run_id: int) -> tuple[str, int] | None:
    """Name and phase of the step that is under way, else of the last one; None before the first."""
    found = row(connection, query("scripts.present_step"), {"run_id": run_id})
    return None if found is None else (found["step"], found["phase"])
