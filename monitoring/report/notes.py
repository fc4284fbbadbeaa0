"""Sections of the report about what came before the run: its gates, and its rehearsal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from monitoring.figures import ComparedFigure, compare_with_rehearsal
from monitoring.report.facts import Note
from monitoring.report.verdict import duration, size
from sql.connection import Connection
from sql.ledger import gates
from sql.ledger.runs import Run


def gates_note(connection: Connection, run: Run) -> tuple[Note, ...]:
    """How the gates stood when the data migration began; nothing where the plan asks for none."""
    barrier = gates.read_barrier(connection, run.run_id)
    if run.plan.gates is None or barrier is None:
        return ()
    overridden = [str(gate["name"]) for gate in barrier.gates if gate["state"] == "overridden"]
    words = "Every gate had passed when the data migration began."
    if barrier.passed_at is None:
        words = "The data migration has not begun: gates are open."
    elif overridden:
        words = f"Gone past by a person's word, with the reason below: {', '.join(overridden)}."
    return (
        Note(
            title="Gates before the data migration",
            words=words,
            headings=("gate", "state", "by", "when", "reason or evidence"),
            rows=[_gate(gate) for gate in barrier.gates],
        ),
    )


def _gate(gate: Mapping[str, Any]) -> tuple[str, ...]:
    at = gate.get("at")
    when = f"{datetime.fromisoformat(str(at)).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""
    name, state, by, reason = (str(gate.get(part) or "") for part in ("name", "state", "by", "reason"))
    return name.replace("_", " "), state, by, when, reason


def rehearsal_note(connection: Connection, run: Run) -> tuple[Note, ...]:
    """What the rehearsal had predicted, and what came; nothing where there was none."""
    compared = compare_with_rehearsal(connection, run)
    if not compared:
        return ()
    return (
        Note(
            title="Rehearsal and reality",
            words="On the clone nobody else wrote, and there was neither a gate nor a window to wait for.",
            headings=("what", "predicted", "real"),
            rows=[(one.what, _shown(one, one.predicted), _shown(one, one.real)) for one in compared],
        ),
    )


def _shown(figure: ComparedFigure, found: float | None) -> str:
    if found is None:
        return "–"
    if figure.unit == "bytes":
        return size(int(found))
    return duration(found) if figure.unit == "s" else f"{found:,.1f} {figure.unit}"
