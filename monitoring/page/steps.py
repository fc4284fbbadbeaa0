"""Phases and steps of a run with the barriers between them, and what each closed barrier waits for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from monitoring.status.status import Status
from replank.values.states import TableState
from replank.values.steps import DATA_PHASE, PHASES
from replank.wording import counted, verb
from sql.ledger.runs import gates, history
from sql.ledger.runs.history import StepTimes
from sql.session.connection import Connection

BEHIND_DATA = (TableState.DONE, TableState.SWAPPED_BACK, TableState.RESTORED)


def phases(connection: Connection, status: Status) -> list[dict[str, Any]]:
    """Phase by phase: `name`, `state`, `steps` with times and blocks, and `barrier`: `open` and what it waits for."""
    blocks = {step.name: (step.blocks_done, step.blocks) for step in status.steps}
    found: dict[int, list[StepTimes]] = {}
    for step in history.read_steps(connection, status.run.run_id):
        found.setdefault(step.phase, []).append(step)
    drawn = []
    for number in sorted(found):
        steps = found[number]
        drawn.append(
            {
                "phase": number,
                "name": steps[0].phase_name or PHASES.get(number, ""),
                "state": _state_of_all([_state(step) for step in steps]),
                "steps": [_step(step, blocks.get(step.name)) for step in steps],
                "barrier": _barrier(connection, status, number, steps),
            }
        )
    return drawn


def _state(step: StepTimes) -> str:
    if step.finished_at is not None:
        return "done"
    return "waiting" if step.started_at is None else "running"


def _state_of_all(states: list[str]) -> str:
    if set(states) == {"done"}:
        return "done"
    return "waiting" if set(states) == {"waiting"} else "running"


def _step(step: StepTimes, blocks: tuple[int, int] | None) -> dict[str, Any]:
    return {
        "name": step.name,
        "state": _state(step),
        "started_at": _moment(step.started_at),
        "finished_at": _moment(step.finished_at),
        "blocks": None if blocks is None else list(blocks),
    }


def _barrier(connection: Connection, status: Status, phase: int, steps: list[StepTimes]) -> dict[str, Any]:
    """The barrier behind a phase; before the data migration stands another one, of gates."""
    waits = [step.name for step in steps if step.finished_at is None]
    waits_for = f"{len(waits)} of {counted(len(steps), 'step')} {verb(len(waits), 'is')} not done" if waits else ""
    late = [table for table in status.tables if TableState(table.state) not in BEHIND_DATA]
    if phase == DATA_PHASE and late and waits:
        waits_for += f"; {len(late)} of {counted(len(status.tables), 'table')} {verb(len(late), 'is')} not done"
    behind = {"open": not waits, "waits": waits_for}
    if phase != DATA_PHASE or not status.gates:
        return behind
    before = gates.read_barrier(connection, status.run.run_id)
    passed = None if before is None else before.passed_at
    closed = [gate.name for gate in status.gates if gate.is_open]
    return behind | {
        "gates": {
            "open": passed is not None,
            "at": _moment(passed),
            "waits": "" if passed is not None else ", ".join(closed) or "not checked yet",
        }
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
