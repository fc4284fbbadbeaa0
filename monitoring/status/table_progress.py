"""How far each table of a run is, from counts of its jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from replank.values.chunk import Axis
from replank.values.states import JobKind, JobState, TableState
from sql.ledger.jobs.work import Tally
from sql.ledger.runs.runs import Run
from sql.ledger.tables import quarantines, verifications
from sql.ledger.tables.tables import RunTable
from sql.ledger.tables.verifications import Shown
from sql.session.connection import Connection

PARTS = ("copied", "indexed", "verified", "swapped")
"""What the one percentage is made of, in the order in which a table comes to it."""

WEIGHTS = {"copied": 0.38, "indexed": 0.36, "verified": 0.24, "swapped": 0.02}
"""How much of a rebuilt table's work each part is, from the prototype's seconds: 1.8, 1.9, 1.2 of 5."""

BACKFILL_WEIGHTS = {"copied": 0.9, "indexed": 0.1, "verified": 0.0, "swapped": 0.0}
"""Of a table that is backfilled: its rows, then what proves NOT NULL and uniqueness. Nothing is swapped."""

_ORDER = (
    TableState.PLANNED,
    TableState.CAPTURED,
    TableState.COPYING,
    TableState.FIRST_DRAIN,
    TableState.INDEXING,
    TableState.CATCHING_UP,
    TableState.VERIFYING,
    TableState.REPAIRING,
    TableState.READY,
    TableState.SWAPPED,
    TableState.VALIDATING,
    TableState.DONE,
    TableState.SWAPPED_BACK,
    TableState.RESTORED,
)
"""Of a rebuilt table: behind which states each part lies as a whole."""

CHUNKS_OF = {
    TableState.PLANNED: JobKind.COPY,
    TableState.CAPTURED: JobKind.COPY,
    TableState.COPYING: JobKind.COPY,
    TableState.FIRST_DRAIN: JobKind.COPY,
    TableState.INDEXING: JobKind.INDEX,
    TableState.CATCHING_UP: JobKind.INDEX,
    TableState.EXTENDED: JobKind.BACKFILL,
    TableState.BACKFILLING: JobKind.BACKFILL,
    TableState.CONSTRAINING: JobKind.BACKFILL,
}
"""What a table's chunks are while it is in a state; from its verification on, those that were compared."""

COMPARED = frozenset(
    {TableState.READY, TableState.SWAPPED, TableState.VALIDATING, TableState.DONE, TableState.SWAPPED_BACK}
)
"""Every row was compared, and counted."""

VALIDATED = 0.5
"""How much of the last part is behind a table that is swapped: its foreign keys are validated afterwards."""


@dataclass(frozen=True, kw_only=True)
class TableProgress:
    """Rows copied of rows expected; `share` of the table's whole work, 0 to 1, is the sum of its `parts`."""

    name: str
    set_no: int
    state: str
    rows_done: int
    rows_total: int
    share: float
    problem: str
    why: str = ""
    """Why the table is rebuilt or backfilled, and along which axis it is cut."""
    rows_quarantined: int = 0
    """Rows that are not in the next table, because they are quarantined."""
    verification: Mapping[str, Any] | None = None
    """The last one that passed, `at` and how many have (`rounds`); whether one is `under_way`, and `because` of what;
    a `doubt` holds the cutover. None before the first."""
    behind: Mapping[str, float] = field(default_factory=dict)
    """How much of the table is copied (or filled), indexed, verified and swapped, each 0 to 1."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How much of the whole work each of these is."""
    chunks: Mapping[str, int] = field(default_factory=dict)
    """Jobs of the present stage by state; where a stage has no chunks, those of the last one that had."""

    @property
    def parts(self) -> dict[str, float]:
        """What the share is made of."""
        return {name: self.weights[name] * done for name, done in self.behind.items()}


def read_table_progress(
    connection: Connection, run: Run, tallies: Sequence[Tally], present: Sequence[RunTable]
) -> tuple[TableProgress, ...]:
    """Of the tables of the run; `tallies` are its jobs, counted."""
    by_table: dict[int, dict[tuple[str, int], dict[str, Any]]] = defaultdict(dict)
    # Of a chunk that was split, its halves count.
    counted = (t for t in tallies if t.table_no is not None and t.state != JobState.SPLIT)
    for found in sorted(counted, key=lambda t: t.generation):
        nothing: dict[str, Any] = {"jobs": 0, "done": 0, "rows": 0, "keys": 0}
        entry = by_table[found.table_no or 0].setdefault((found.kind, found.generation), nothing)
        entry["jobs"] += found.jobs
        if found.state == "done":
            entry.update(done=found.jobs, rows=found.rows, keys=found.keys)
    quarantined = quarantines.quarantined_rows(connection, run.run_id)
    proofs = verifications.shown(connection, run.run_id)
    return tuple(
        replace(
            _progress_of(table, by_table[table.table_no]),
            chunks=_chunks(table, [t for t in tallies if t.table_no == table.table_no]),
            rows_quarantined=quarantined.get(table.table_no, 0),
            why=_method_reason(table),
            verification=_verification(proofs.get(table.table_no)),
            problem=table.problem or _held_by(proofs.get(table.table_no)),
        )
        for table in present
    )


def _method_reason(table: RunTable) -> str:
    """How it is changed, in which order its rows are read, and why in this order."""
    if table.spec.method == "backfill":
        return f"{table.spec.method}: {table.axis_reason}"
    order = "in the order of its blocks" if table.axis is Axis.HEAP else "in the order of its key"
    return f"{table.spec.method}, read {order}: {table.axis_reason}"


def _held_by(found: Shown | None) -> str:
    """Why it is compared again before its cutover; empty where it is not."""
    return "" if found is None else found.doubt or found.because


def _verification(found: Shown | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "at": None if found.passed_at is None else found.passed_at.isoformat(),
        "rounds": found.rounds,
        "under_way": found.under_way,
        "because": found.because,
        "doubt": found.doubt,
    }


def _chunks(table: RunTable, tallies: Sequence[Tally]) -> dict[str, int]:
    """Jobs of the table's present stage by state; of its newest chunks where it has none of its own."""
    kind = CHUNKS_OF.get(table.state, JobKind.VERIFY)
    mine = [t for t in tallies if t.kind == kind and t.state != JobState.SPLIT]
    newest = max((t.generation for t in mine), default=0)
    return {t.state: t.jobs for t in mine if t.generation == newest}


def _progress_of_backfill(table: RunTable, found: dict[tuple[str, int], dict[str, Any]]) -> TableProgress:
    """By the rows read in this round; the last rounds find little to do."""
    total = max(table.rows_estimate, 1)
    looked_at = min(found.get(("backfill", table.generation), {}).get("keys", 0), total)
    over = table.state in (TableState.CONSTRAINING, TableState.DONE)
    rows_done = total if over else looked_at
    # A round may find rows to fill once more: until the last one has ended nothing is full.
    filled = 1.0 if over else min(looked_at / total, 0.99) if table.state is TableState.BACKFILLING else 0.0
    done = 1.0 if table.state is TableState.DONE else 0.0
    behind = {"copied": filled, "indexed": done, "verified": done, "swapped": done}
    return _table_progress(table, BACKFILL_WEIGHTS, behind, rows_done=rows_done, rows_total=total)


def _progress_of(table: RunTable, found: dict[tuple[str, int], dict[str, Any]]) -> TableProgress:
    if table.spec.method == "backfill":
        return _progress_of_backfill(table, found)
    copies = [entry for (kind, _), entry in found.items() if kind == "copy" and entry["done"]]
    rows_done = copies[-1]["rows"] if copies else 0
    if table.state in COMPARED:
        # Counted by the verification; rows that came in by the log were never copied.
        rows_done = table.rows_estimate
    past_copy = table.state not in (TableState.PLANNED, TableState.CAPTURED, TableState.COPYING)
    # An estimate that was too low must not show 120 %; one past its stage is what was counted.
    total = rows_done if past_copy else max(table.rows_estimate, rows_done)
    return _table_progress(
        table, WEIGHTS, _behind(table, found, rows_done, total), rows_done=rows_done, rows_total=total
    )


def _behind(
    table: RunTable, found: dict[tuple[str, int], dict[str, Any]], rows_done: int, rows_total: int
) -> dict[str, float]:
    """How much of each part is behind a rebuilt table, 0 to 1."""
    at = _ORDER.index(table.state)

    def part(state: TableState, under_way: float) -> float:
        return 1.0 if at > _ORDER.index(state) else under_way if table.state is state else 0.0

    def jobs(kind: str) -> float:
        newest = [entry for (name, _), entry in sorted(found.items()) if name == kind]
        return newest[-1]["done"] / newest[-1]["jobs"] if newest and newest[-1]["jobs"] else 0.0

    verified = found.get(("verify", table.generation))
    compared = verified["done"] / verified["jobs"] if verified and verified["jobs"] else 0.0
    swapped = VALIDATED if table.state in (TableState.SWAPPED, TableState.VALIDATING) else 0.0
    return {
        "copied": part(TableState.COPYING, rows_done / rows_total if rows_total else 0.0),
        "indexed": part(TableState.INDEXING, jobs("index")),
        "verified": 0.0 if table.state is TableState.REPAIRING else part(TableState.VERIFYING, compared),
        "swapped": 1.0 if at >= _ORDER.index(TableState.DONE) else swapped,
    }


def _table_progress(
    table: RunTable, weights: Mapping[str, float], behind: Mapping[str, float], *, rows_done: int, rows_total: int
) -> TableProgress:
    share = sum(weights[name] * done for name, done in behind.items())
    return TableProgress(
        name=table.spec.full_name,
        set_no=table.set_no,
        state=str(table.state),
        rows_done=rows_done,
        rows_total=rows_total,
        share=round(min(share, 1.0), 9),
        behind=behind,
        weights=weights,
        problem=table.problem,
    )
