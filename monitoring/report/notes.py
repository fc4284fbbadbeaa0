"""Sections of the report about what came before the run: its gates, and its rehearsal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from monitoring.report.facts import Note
from monitoring.report.verdict import duration, size
from monitoring.status.figures import ComparedFigure, compare_with_rehearsal
from monitoring.status.gates import window_at
from sql.ledger.runs import gate_records, gates
from sql.ledger.runs.gate_records import Word
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets
from sql.session.connection import Connection


def gates_note(connection: Connection, run: Run) -> tuple[Note, ...]:
    """How the gates stood when the data migration began; nothing where the plan asks for none."""
    barrier = gates.read_barrier(connection, run.run_id)
    if run.plan.gates is None or barrier is None:
        return ()
    overridden = [str(gate["name"]) for gate in barrier.gates if gate["state"] == "overridden"]
    later = _overridden_later(connection, run, overridden)
    words = "Every gate had passed when the data migration began."
    if barrier.passed_at is None:
        words = "The data migration has not begun: gates are open."
    elif overridden:
        words = f"Overridden by the operator, with the reason below: {', '.join(overridden)}."
    if later:
        words += f" Overridden by the operator after that: {', '.join(word.gate for word in later)}."
    outside = _outside_of_windows(connection, run)
    if outside:
        words += f" Swapped outside the plan's cutover windows: {', '.join(outside)}."
    return (
        Note(
            title="Gates before the data migration",
            words=words,
            headings=("gate", "state", "by", "when", "reason or evidence"),
            rows=[*(_gate(gate) for gate in barrier.gates), *(_word(word) for word in later)],
        ),
    )


def _overridden_later(connection: Connection, run: Run, known: Sequence[str]) -> list[Word]:
    """Overrides that were not there yet when the gates were checked, as those of the window mostly are."""
    attestations = gate_records.attestations(connection, run.plan_digest)
    return [word for (gate, kind), word in sorted(attestations.items()) if kind == "overridden" and gate not in known]


def _outside_of_windows(connection: Connection, run: Run) -> list[str]:
    """Sets that were swapped when no cutover window of the plan was open."""
    asked = run.plan.gates
    if asked is None or not asked.windows:
        return []
    swapped = [(f"set {one.set_no}", one.swapped_at) for one in conversion_sets.read_sets(connection, run.run_id)]
    return [f"{name} at {_moment(at)}" for name, at in swapped if at is not None and window_at(asked, at).reason]


def _word(word: Word) -> tuple[str, ...]:
    return word.gate.replace("_", " "), "overridden afterwards", word.by, _moment(word.at), word.words


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _gate(gate: Mapping[str, Any]) -> tuple[str, ...]:
    at = gate.get("at")
    when = _moment(datetime.fromisoformat(str(at))) if at else ""
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
            words="On the clone no application wrote, and there was no gate or cutover window to wait for.",
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
