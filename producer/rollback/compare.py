"""Comparing a run's tables now, at one snapshot each: live against next, or what was swapped against its past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from producer.rollback.prepare import read_set
from replank.activity import doing
from replank.errors import NeedsOperator
from replank.values.chunk import Axis, Chunk
from replank.values.states import TableState
from replank.values.table_spec import TableSpec
from replank.wording import counted, verb
from sql.access.readers import refuse_unreadable
from sql.drain.verification import differing_keys, sum_chunk
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets, tables
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.rollback.reverse_verification import compared
from sql.rows.change_log import log_table, logged_keys
from sql.rows.reverse_capture import reverse_capture_is_installed, reverse_log
from sql.session.connection import Connection
from sql.session.one_snapshot import read_at_one_snapshot
from sql.swap.drop_retained import read_retained
from sql.values.conversion import ComparedBy

COMPLETE = (TableState.CATCHING_UP, TableState.VERIFYING, TableState.REPAIRING, TableState.READY)
"""Before the swap, next tables in these states equal the live ones but for what is logged."""

SHOWN_KEYS = 5

WHOLE = Chunk(axis=Axis.HEAP, lower=None, upper=None)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One table. `mismatches` counts keys that differ, of which `keys` has a few, as text; it is None where there is
    nothing to compare, and `why` says so.

    After the swap, `rows_live` are those of the past table and `rows_next` those of the new one. Rows whose keys wait
    in a log are not compared: `keys_left_out` counts these keys, and `since_cutover` says which log it is, that of what
    was written since the cutover, or that of what the next drain brings.
    """

    name: str
    rows_live: int | None
    rows_next: int | None
    mismatches: int | None
    why: str
    keys: tuple[str, ...] = ()
    keys_left_out: int | None = None
    since_cutover: bool = False

    @property
    def left_out(self) -> str:
        """What was not compared, of a table that was; empty where that is nothing before the cutover."""
        count = self.keys_left_out or 0
        if self.since_cutover and count == 0:
            return "no row was written since the cutover"
        if self.since_cutover:
            return f"{counted(count, 'row')} written since the cutover {verb(count, 'is')} not compared"
        return f"{counted(count, 'changed row')} not compared until the next drain" if count else ""

    @property
    def verdict(self) -> str:
        """`8 keys differ: (17), (18) and 6 more`, of a table that was compared."""
        if not self.mismatches:
            return "equal"
        return f"{counted(self.mismatches, 'key', 'differs')}: {self.named}"

    @property
    def named(self) -> str:
        """A few of the keys that differ, and how many more there are."""
        more = (self.mismatches or 0) - len(self.keys)
        return ", ".join(self.keys) + (f" and {more:,} more" if more else "")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "keys": list(self.keys)}


def compare_tables(connection: Connection, run: Run) -> list[Comparison]:
    """Every table of the run; nothing is changed. Raises MayNot where this role may not read both sides."""
    refuse_unreadable(connection, [table.spec for table in tables.read_tables(connection, run.run_id)])
    sets = {one.set_no: one for one in conversion_sets.read_sets(connection, run.run_id)}
    return [
        _compare(connection, run, table, sets.get(table.set_no)) for table in tables.read_tables(connection, run.run_id)
    ]


def _compare(connection: Connection, run: Run, table: RunTable, one: ConversionSet | None) -> Comparison:
    spec = table.spec
    doing(f"comparing both tables of {spec.full_name}")
    if table.state in COMPLETE:
        live, built, mismatches, some, left_out = _before_the_swap(connection, spec)
        return _comparison(spec, live, built, mismatches, some, left_out)
    if (
        one is not None
        and one.swapped_at is not None
        and one.swapped_back_at is None
        and reverse_capture_is_installed(connection, spec)
    ):
        if not read_retained(connection, [(spec.past_schema, spec.name)]):
            why = "its past table does not exist any more"
            return Comparison(name=spec.full_name, rows_live=None, rows_next=None, mismatches=None, why=why)
        try:
            pair = next(pair for pair in read_set(connection, run, one).pairs if pair.spec.table_no == table.table_no)
        except NeedsOperator as error:
            # A table of its set is gone.
            return Comparison(name=spec.full_name, rows_live=None, rows_next=None, mismatches=None, why=str(error))
        (past, new, keys), left_out = read_at_one_snapshot(
            connection,
            lambda: (compared(connection, pair), logged_keys(connection, reverse_log(spec), spec)),
            force_rollback=True,
        )
        return _comparison(spec, past, new, len(keys), keys[:SHOWN_KEYS], left_out, since_cutover=True)
    if spec.method == "backfill":
        why = "filled in place: there is no second table"
    elif one is not None and one.swapped_at is not None:
        why = "changes since the cutover are not, or no longer, captured for the past table"
    else:
        why = f"it is {table.state}: the next table is not complete yet"
    return Comparison(name=spec.full_name, rows_live=None, rows_next=None, mismatches=None, why=why)


def _before_the_swap(connection: Connection, spec: TableSpec) -> tuple[int, int, int, list[str], int]:
    """Rows of both sides, how many keys differ, a few of these, and how many keys were left out."""

    def sums() -> tuple[int, int, int, list[str], int]:
        left_out = logged_keys(connection, log_table(spec), spec)
        live = sum_chunk(connection, spec, "live", WHOLE, ComparedBy.VALUES, remember=False)
        built = sum_chunk(connection, spec, "next", WHOLE, ComparedBy.VALUES, remember=False)
        if (live.rows, live.total) == (built.rows, built.total):
            return live.rows, built.rows, 0, [], left_out
        return live.rows, built.rows, *differing_keys(connection, spec, limit=SHOWN_KEYS), left_out

    return read_at_one_snapshot(connection, sums, force_rollback=True)


def _comparison(
    spec: TableSpec,
    rows_live: int,
    rows_next: int,
    mismatches: int,
    keys: Sequence[str],
    left_out: int,
    *,
    since_cutover: bool = False,
) -> Comparison:
    return Comparison(
        name=spec.full_name,
        rows_live=rows_live,
        rows_next=rows_next,
        mismatches=mismatches,
        why="",
        keys=tuple(keys),
        keys_left_out=left_out,
        since_cutover=since_cutover,
    )
