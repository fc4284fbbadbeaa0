"""How long each stage of a run took, from the ledger's history of its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from replank.values.states import TableState
from sql.ledger.runs import runs
from sql.ledger.runs.events import TableMoved, table_moves
from sql.session.connection import Connection

STAGES: Mapping[str, tuple[TableState, TableState]] = {
    "capture": (TableState.PLANNED, TableState.CAPTURED),
    "copy": (TableState.CAPTURED, TableState.FIRST_DRAIN),
    "first drain": (TableState.FIRST_DRAIN, TableState.INDEXING),
    "indexes": (TableState.INDEXING, TableState.CATCHING_UP),
    "verification": (TableState.CATCHING_UP, TableState.READY),
    "cutover": (TableState.READY, TableState.SWAPPED),
    "foreign keys": (TableState.SWAPPED, TableState.DONE),
}
"""A stage lasts from the first table's entry into its first state to the last table's into its second."""


def stage_seconds(connection: Connection, run_id: int) -> dict[str, float]:
    """Seconds of each stage; tables overlap, so the sum is more than the run's own time."""
    began = runs.read_run(connection, run_id).created_at
    return stages_of(table_moves(connection, run_id), began)


def stages_of(history: Iterable[TableMoved], began: datetime) -> dict[str, float]:
    """The same from the history itself: in time order."""
    spans = spans_of(history, began)
    return {stage: round((end - start).total_seconds(), 3) for stage, (start, end) in spans.items()}


def spans_of(history: Iterable[TableMoved], began: datetime) -> dict[str, tuple[datetime, datetime]]:
    """When each stage began and ended; one that has not ended is left out."""
    first: dict[str, datetime] = {str(TableState.PLANNED): began}
    last: dict[str, datetime] = {}
    for entry in history:
        first.setdefault(entry.state, entry.at)
        last[entry.state] = entry.at
    return {
        stage: (first[start], last[end]) for stage, (start, end) in STAGES.items() if start in first and end in last
    }
