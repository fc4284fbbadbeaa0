"""What a run has cost, and how far that is from what its rehearsal said it would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from monitoring.status.durations import stages_of
from sql.ledger.runs import costs, gate_records, gates
from sql.ledger.runs.events import table_moves
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, conversion_sets
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class ComparedFigure:
    """One figure of a rehearsal and of the run; either is None where it was not measured. `unit`: s, ms or bytes."""

    what: str
    unit: str
    predicted: float | None
    real: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_figures(connection: Connection, run: Run) -> dict[str, Any]:
    """Seconds of phases, steps and stages, WAL and disk (bytes), locks (the longest wait and hold, ms), rows copied.

    WAL is that of the whole server, from the data migration's beginning to the last measurement; disk is the most that
    the database had grown. Stages begin when the gates have opened.
    """
    barrier = gates.read_barrier(connection, run.run_id)
    began = barrier.passed_at if barrier is not None and barrier.passed_at is not None else run.created_at
    cost = costs.measured(connection, run.run_id)
    swaps = [(one.lock_wait_ms, one.lock_hold_ms) for one in conversion_sets.read_sets(connection, run.run_id)]
    swaps += [(one.lock_wait_ms, one.lock_hold_ms) for one in caches.read_caches(connection, run.run_id)]
    return {
        "seconds": None if cost is None else cost.seconds,
        "phases": costs.phase_seconds(connection, run.run_id),
        "steps": costs.step_seconds(connection, run.run_id),
        "stages": stages_of(table_moves(connection, run.run_id), began),
        "wal_bytes": None if cost is None else cost.wal_bytes,
        "disk_bytes": None if cost is None else cost.bytes_added,
        "lock_wait_ms": max((wait for wait, _ in swaps if wait is not None), default=None),
        "lock_hold_ms": max((hold for _, hold in swaps if hold is not None), default=None),
    }


def compare_with_rehearsal(connection: Connection, run: Run) -> list[ComparedFigure]:
    """The newest good rehearsal before the run's data migration, beside the run itself; empty where there was none.

    In a rehearsal no application writes, and there are no gates or windows to wait for: phase 3 and the stage
    `cutover` of the real run hold that waiting too.
    """
    word = gate_records.rehearsal_before(connection, run.plan_digest, run.run_id)
    if word is None:
        return []
    predicted, real = word.evidence["figures"], read_figures(connection, run)
    compared = [
        ComparedFigure(what=words, unit=unit, predicted=predicted.get(name), real=real.get(name))
        for name, words, unit in (
            ("seconds", "data migration", "s"),
            ("wal_bytes", "WAL written", "bytes"),
            ("disk_bytes", "most disk space added", "bytes"),
            ("lock_wait_ms", "longest wait for a lock", "ms"),
            ("lock_hold_ms", "longest lock held", "ms"),
        )
    ]
    for part, word_for in (("phases", "phase"), ("steps", "step"), ("stages", "stage")):
        compared += _pairs(word_for, predicted.get(part, {}), real[part])
    return compared


def _pairs(what: str, predicted: Mapping[str, float], real: Mapping[str, float]) -> list[ComparedFigure]:
    names = [*real, *(name for name in predicted if name not in real)]
    return [
        ComparedFigure(what=f"{what} {name}", unit="s", predicted=predicted.get(name), real=real.get(name))
        for name in names
    ]
