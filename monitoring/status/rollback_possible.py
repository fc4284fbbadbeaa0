"""Whether `replank rollback` is possible after the cutover, and if not, why: from the catalogue, as it would see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from replank.values.states import RunState
from replank.values.table_spec import TableSpec
from sql.ledger.runs.runs import Run
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.rows.capture_continuity import broken_reverse_captures
from sql.rows.reverse_capture import Captured, captured, provable, waiting_changes
from sql.session.connection import Connection

UNPROVABLE = "a comparison cannot find changes of that time in columns that the run has filled"

KEPT = "`replank finish` drops the past tables; until then they stay in schema replank_past"

GONE = "`replank finish` removes what was kept for a rollback"


@dataclass(frozen=True, kw_only=True)
class ClosedTable:
    """A table that cannot be rolled back without loss, by its full name, and why. `gone` is its past table."""

    table: str
    words: str
    gone: bool


@dataclass(frozen=True, kw_only=True)
class RollbackFacts:
    """After a cutover. `waiting` are changes that reverse capture has logged.

    `closed_tables` are those that cannot be rolled back without loss; `doubtful` says of which `replank rollback` has
    to compare every row first. Both are empty where nothing is known against it.
    """

    waiting: int
    closed_tables: tuple[ClosedTable, ...] = ()
    doubtful: tuple[str, ...] = ()

    @property
    def closed(self) -> tuple[str, ...]:
        """Why, table by table."""
        return tuple(one.words for one in self.closed_tables)

    @property
    def warnings(self) -> list[str]:
        """A line for each."""
        closed = [
            f"a rollback is not possible: {one.words}. {GONE if one.gone else KEPT}" for one in self.closed_tables
        ]
        return [*closed, *(f"a rollback needs a comparison first: {words}" for words in self.doubtful)]

    def to_json(self) -> dict[str, Any]:
        return {"waiting": self.waiting, "closed": list(self.closed), "doubtful": list(self.doubtful)}


def describe_rollback(run: Run, rollback_facts: RollbackFacts | None) -> str:
    """What `replank rollback` would do with a run that is done: one sentence, the same everywhere."""
    if not run.plan.options.reverse_capture:
        return "no rollback is possible: the plan (`reverse_capture = false`) keeps no changes for the past tables"
    if rollback_facts is not None and rollback_facts.closed:
        return f"a rollback without loss is no longer possible: {'; '.join(rollback_facts.closed)}"
    if rollback_facts is not None and rollback_facts.doubtful:
        return "`replank rollback` compares every row first, and rolls back only if none is missing"
    return "`replank rollback` rolls back without loss"


def read_rollback_facts(
    connection: Connection, run: Run, sets: Sequence[ConversionSet], present: Sequence[RunTable]
) -> RollbackFacts | None:
    """Of the sets that are swapped and not swapped back. None where there are none, or the plan allows no rollback."""
    swapped = {s.set_no for s in sets if s.swapped_at is not None and s.swapped_back_at is None}
    if not swapped or not run.plan.options.reverse_capture or run.state is RunState.FINISHED:
        return None
    specs = [table.spec for table in present if table.set_no in swapped]
    known = captured(connection, specs)
    against = [(spec, known[spec.table_no]) for spec in specs if known[spec.table_no] is not Captured.ALL]
    closed = [
        ClosedTable(table=spec.full_name, words=_closed(spec, state), gone=state is Captured.NO_PAST)
        for spec, state in against
        if not _comparable(spec, state)
    ]
    touched = _touched(connection, sets, [spec for spec in specs if known[spec.table_no] is Captured.ALL])
    closed += [
        ClosedTable(table=spec.full_name, words=f"{spec.full_name}: {why}; {UNPROVABLE}", gone=False)
        for spec, why in touched
        if not provable(spec)
    ]
    return RollbackFacts(
        waiting=waiting_changes(connection, specs),
        closed_tables=tuple(closed),
        doubtful=tuple(
            f"{spec.full_name}: {why}. `replank rollback` compares every row, and rolls back only if none is missing"
            for spec, why in touched
            if provable(spec)
        )
        + tuple(
            f"{spec.full_name}: its triggers replank_capture_back_… were disabled, perhaps for a time. `replank "
            "rollback` enables them, compares every row, and rolls back only if none is missing"
            for spec, state in against
            if _comparable(spec, state)
        ),
    )


def _touched(
    connection: Connection, sets: Sequence[ConversionSet], specs: Sequence[TableSpec]
) -> list[tuple[TableSpec, str]]:
    """Tables whose capture stands, and did not all the time since the cutover."""
    capture_facts = {
        number: lines for s in sets for number, lines in (s.rollback_facts or {}).get("capture_facts", {}).items()
    }
    found = broken_reverse_captures(connection, specs, capture_facts)
    return [(spec, found[spec.table_no]) for spec in specs if spec.table_no in found]


def _comparable(spec: TableSpec, state: Captured) -> bool:
    return state is Captured.NOT_ALWAYS and provable(spec)


def _closed(spec: TableSpec, state: Captured) -> str:
    triggers = "its triggers replank_capture_back_…"
    why = {
        Captured.NO_PAST: "its past table is gone",
        Captured.NOT: f"{triggers} are gone, or it is another table than the cutover's",
        Captured.NOT_ALWAYS: f"{triggers} were disabled, perhaps for a time, and {UNPROVABLE}",
    }
    return f"{spec.full_name}: {why[state]}"
