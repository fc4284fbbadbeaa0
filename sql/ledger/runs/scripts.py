"""The scripts of a run in the ledger: as they were compiled, and how far they have run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from psycopg.types.json import Jsonb
from sqlalchemy import and_, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from replank.values.states import ScriptDirection
from replank.values.steps import BY_NAME, PHASES, Step
from sql.ledger.schema.run_tables import PASS_SCRIPT, SCRIPT, STEP
from sql.scripts.file_change import FileChange
from sql.scripts.script_templates import Block, Script
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Document, Query, given


def _script(document: Mapping[str, Any]) -> Script:
    blocks = tuple(Block(**block) for block in document["blocks"])
    change = None if document["change"] is None else FileChange(**document["change"])
    return Script(**{**document, "blocks": blocks, "change": change})


def _step(name: str) -> Step:
    if name not in BY_NAME:
        raise ValueError(f"there is no step {name}")
    return BY_NAME[name]


_Kept = Annotated[Script, Document(_script)]


@dataclass(frozen=True, kw_only=True)
class PlannedScript:
    """A script of a run. `blocks_done` of its blocks need not run again."""

    run_id: int
    step: Annotated[Step, Document(_step)]
    direction: ScriptDirection
    script: _Kept
    blocks_done: int
    finished: bool


@dataclass(frozen=True, kw_only=True)
class PassScript:
    """A script of the pass. `reviewed` says that it was compared with what the operator had read."""

    script: _Kept
    reviewed: bool


@dataclass(frozen=True, kw_only=True)
class _Begun:
    script: _Kept


@dataclass(frozen=True, kw_only=True)
class _PresentStep:
    step: str
    phase: int


_S, _T, _P = SCRIPT.c, STEP.c, PASS_SCRIPT.c
_STEP = and_(_T.run_id == given("run_id"), _T.step == given("step"))

_ADD = Command("scripts.add")
_OF_RUN = (
    select(
        _S.run_id,
        _S.step,
        _S.direction,
        _S.document.label("script"),
        _S.blocks_done,
        _T.finished_at.is_not(None).label("finished"),
    )
    .join_from(SCRIPT, STEP)
    .where(_S.run_id == given("run_id"))
)
_FORWARD = Query(_OF_RUN.where(_S.direction == "forward").order_by(_S.step), PlannedScript)
_BOTH = Query(_OF_RUN.order_by(_S.step, _S.direction), PlannedScript)
_BACK = Query(_OF_RUN.where(_S.direction == "back", _T.started_at.is_not(None)).order_by(_S.step.desc()), PlannedScript)
_BEGUN_OF_STEP = Query(
    select(_S.document.label("script"))
    .where(_S.step == given("step"), _S.direction == "forward", _S.blocks_done > 0)
    .order_by(_S.run_id),
    _Begun,
)
_NEW = insert(PASS_SCRIPT).values(
    {name: given(name) for name in ("run_id", "step", "direction", "document", "checksum", "reviewed")}
)
_KEEP_PASS = Command(
    _NEW.on_conflict_do_update(
        index_elements=["run_id", "step", "direction"],
        set_={
            "document": _NEW.excluded.document,
            "checksum": _NEW.excluded.checksum,
            # What was read before stays marked until it is another one.
            "reviewed": or_(_NEW.excluded.reviewed, and_(_P.reviewed, _P.checksum == _NEW.excluded.checksum)),
        },
    )
)
_PASS = Query(
    select(_P.document.label("script"), _P.reviewed)
    .where(_P.run_id == given("run_id"))
    .order_by(_P.step, _P.direction.desc()),
    PassScript,
)
_START = Command("scripts.start")
_NOTE = Command(
    update(SCRIPT)
    .where(_S.run_id == given("run_id"), _S.step == given("step"), _S.direction == given("direction"))
    .values(blocks_done=given("done"))
)
_FINISH = Command("scripts.finish")
_FORGET = Command("scripts.forget")
_HAS_STEP = Query(select(exists().where(_STEP)), bool)
_PRESENT_STEP = Query(
    select(_T.step, _T.phase)
    .where(_T.run_id == given("run_id"), _T.started_at.is_not(None))
    .order_by(_T.finished_at.is_(None).desc(), _T.step.desc())
    .limit(1),
    _PresentStep,
)


def add_script(connection: Connection, run_id: int, step: Step, direction: ScriptDirection, script: Script) -> None:
    """Its step begins later."""
    _ADD(
        connection,
        run_id=run_id,
        step=step.name,
        phase=step.phase,
        phase_name=PHASES[step.phase],
        direction=direction,
        document=Jsonb(asdict(script)),
        checksum=script.checksum,
        blocks=len(script.blocks),
    )


def forward_scripts(connection: Connection, run_id: int) -> list[PlannedScript]:
    """Every script of the run, in the order of the steps."""
    return _FORWARD.all(connection, run_id=run_id)


def all_scripts(connection: Connection, run_id: int) -> list[PlannedScript]:
    """Every script of the run and its rollback."""
    return _BOTH.all(connection, run_id=run_id)


def rollback_scripts(connection: Connection, run_id: int) -> list[PlannedScript]:
    """The rollbacks of what has begun, the last step first."""
    return _BACK.all(connection, run_id=run_id)


def begun_of_step(connection: Connection, step: str) -> list[Script]:
    """The scripts of a step that have begun and were not rolled back, of all runs, the oldest first."""
    return [begun.script for begun in _BEGUN_OF_STEP.all(connection, step=step)]


def keep_pass_script(
    connection: Connection, run_id: int, step: Step, direction: ScriptDirection, script: Script, *, reviewed: bool
) -> None:
    """The pass as it is compiled now."""
    _KEEP_PASS(
        connection,
        run_id=run_id,
        step=step.name,
        direction=direction,
        document=Jsonb(asdict(script)),
        checksum=script.checksum,
        reviewed=reviewed,
    )


def pass_scripts(connection: Connection, run_id: int) -> dict[str, PassScript]:
    """By their names."""
    return {each.script.name: each for each in _PASS.all(connection, run_id=run_id)}


def start(connection: Connection, planned: PlannedScript) -> None:
    """The step begins, and its phase with it."""
    _START(connection, run_id=planned.run_id, step=planned.step.name, phase=planned.step.phase)


def note(connection: Connection, planned: PlannedScript, done: int) -> None:
    """How many of its blocks are done."""
    _NOTE(connection, run_id=planned.run_id, step=planned.step.name, direction=planned.direction, done=done)


def finish(connection: Connection, planned: PlannedScript) -> None:
    """The step is done; a phase whose steps all are is done too."""
    _FINISH(connection, run_id=planned.run_id, step=planned.step.name, phase=planned.step.phase)


def forget(connection: Connection, planned: PlannedScript) -> None:
    """A step that was rolled back has not begun."""
    _FORGET(connection, run_id=planned.run_id, step=planned.step.name, phase=planned.step.phase)


def has_step(connection: Connection, run_id: int, step: str) -> bool:
    return _HAS_STEP.only(connection, run_id=run_id, step=step)


def present_step(connection: Connection, run_id: int) -> tuple[str, int] | None:
    """Name and phase of the step that is under way, else of the last one; None before the first."""
    found = _PRESENT_STEP.first(connection, run_id=run_id)
    return None if found is None else (found.step, found.phase)
