"""Tables of a run in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from psycopg.types.json import Jsonb
from sqlalchemy import and_, func, insert, null, select, update

from replank.errors import NeedsOperator
from replank.values.chunk import Axis, Bound
from replank.values.states import TableState, sources
from replank.values.table_spec import TableSpec
from sql.ledger.schema.table_tables import CACHE, CHANGE_LOG, CONVERSION_SET, RUN_TABLE
from sql.rows.copy import HeapExtent
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Document, Query, given, seconds
from sql.values.conversion import ComparedBy


@dataclass(frozen=True, kw_only=True)
class RunTable:
    """A table of a run as the ledger has it."""

    run_id: int
    table_no: int
    set_no: int
    state: TableState
    spec: Annotated[TableSpec, Document(TableSpec.from_json)]
    axis: Axis
    axis_reason: str
    generation: int
    rewritten: bool
    filenode: int
    heap_blocks: int
    all_blocks: int
    cut_to: Bound | None
    cutting_finished: bool
    rows_estimate: int
    rounds: int
    in_chunks: bool
    compared_by: ComparedBy
    attempts: int
    not_before: datetime
    problem: str
    blocked: bool

    @property
    def due(self) -> bool:
        return self.not_before <= datetime.now(UTC)


_T = RUN_TABLE.c
_RUN = _T.run_id == given("run_id")
_TABLE = and_(_RUN, _T.table_no == given("table_no"))
_CHANGE = update(RUN_TABLE).where(_TABLE)
_NOT_CUT = {"rewritten": False, "cutting_finished": False, "cut_to": null()}
"""Its chunks, if it has any, are of another file or another generation."""
_TRY_NOW = {"problem": "", "blocked": False, "attempts": 0, "not_before": func.clock_timestamp()}

_FROM_FILE = ("filenode", "heap_blocks", "all_blocks")
"""Unknown until capture has committed."""
_NOT_SHOWN = ("schema_name", "table_name", "errors_from", *_FROM_FILE)
_OF_RUN = select(
    *(column for column in _T if column.name not in _NOT_SHOWN),
    *(func.coalesce(_T[name], 0).label(name) for name in _FROM_FILE),
).where(_RUN)
_TABLES = Query(_OF_RUN.order_by(_T.table_no), RunTable)
_BY_NO = Query(_OF_RUN.where(_T.table_no == given("table_no")), RunTable)

_PLANNED = ("schema_name", "table_name", "set_no", "spec", "axis", "axis_reason", "rows_estimate")
_ADD = Command(insert(RUN_TABLE).values({name: given(name) for name in ("run_id", "table_no", *_PLANNED)}))
_ADD_CHANGE_LOG = Command(
    insert(CHANGE_LOG).values({name: given(name) for name in ("run_id", "table_no", "log_table", "mode")})
)
_MOVE = Command("ledger.set_table_state")
_POSTPONE = Query(
    _CHANGE.values(
        attempts=_T.attempts + 1,
        problem=given("problem"),
        not_before=func.clock_timestamp() + seconds("delay_s"),
    ).returning(_T.attempts),
    int,
)
_BLOCK = Command(_CHANGE.values(problem=given("problem"), blocked=True))
_CLEAR = Command(update(RUN_TABLE).where(_RUN).values(rounds=0, **_TRY_NOW))
_SWAP_NOW = {"waits_for": None, "waits_subject": "", **_TRY_NOW}
_CLEAR_CUTOVERS = Command(update(CONVERSION_SET).where(CONVERSION_SET.c.run_id == given("run_id")).values(**_SWAP_NOW))
_CLEAR_CACHES = Command(update(CACHE).where(CACHE.c.run_id == given("run_id")).values(**_SWAP_NOW))
_MARK_REWRITTEN = Command(_CHANGE.values(rewritten=True))
_SET_HEAP_EXTENT = Command(_CHANGE.values(**{name: given(name) for name in _FROM_FILE}, **_NOT_CUT))
_RESTART_COPY = Command(_CHANGE.values(generation=_T.generation + 1, **_NOT_CUT))
_SET_ROWS = Command(_CHANGE.values(rows_estimate=given("rows")))
_SET_CUT = Command(_CHANGE.values(cut_to=given("cut_to"), cutting_finished=given("finished")))
_COMPARE_VALUES = Command(_CHANGE.values(compared_by=ComparedBy.VALUES))
_VERIFY_IN_CHUNKS = Command(_CHANGE.values(in_chunks=True))
_NEXT_ROUND = Query(_CHANGE.values(rounds=_T.rounds + 1).returning(_T.rounds), int)


def add_table(
    connection: Connection, spec: TableSpec, *, set_no: int, axis: Axis, axis_reason: str, rows_estimate: int
) -> None:
    _ADD(
        connection,
        **_id(spec),
        schema_name=spec.schema,
        table_name=spec.name,
        set_no=set_no,
        spec=Jsonb(spec.to_json()),
        axis=axis,
        axis_reason=axis_reason,
        rows_estimate=rows_estimate,
    )


def read_tables(connection: Connection, run_id: int) -> list[RunTable]:
    return _TABLES.all(connection, run_id=run_id)


def read_table(connection: Connection, run_id: int, table_no: int) -> RunTable:
    found = _BY_NO.first(connection, run_id=run_id, table_no=table_no)
    if found is None:
        raise NeedsOperator(f"Table {table_no} of run {run_id} is not in the ledger.")
    return found


def resolved_together(connection: Connection, table: RunTable) -> list[TableSpec]:
    """The tables of its set that quarantine concerns, itself among them; none if it does not concern this one."""
    if not table.spec.settles:
        return []
    of_run = read_tables(connection, table.run_id)
    return [other.spec for other in of_run if other.set_no == table.set_no and other.spec.settles]


def move_table(connection: Connection, table: TableSpec, state: TableState) -> bool:
    """Move a table; False where `replank.states` does not allow it from where it is."""
    return _MOVE(connection, **_id(table), state=state, sources=sources(state)) > 0


def _id(table: TableSpec) -> dict[str, int]:
    return {"run_id": table.run_id, "table_no": table.table_no}


def postpone_table(connection: Connection, table: TableSpec, *, delay_s: float, problem: str) -> int:
    """Try again after `delay_s`. Returns how often that was."""
    return _POSTPONE.first(connection, **_id(table), delay_s=delay_s, problem=problem) or 0


def block_table(connection: Connection, table: TableSpec, problem: str) -> None:
    """Only the operator can let this table continue."""
    _BLOCK(connection, **_id(table), problem=problem)


def clear_problems(connection: Connection, run_id: int) -> None:
    """An operator wants everything tried again: tables, cutovers and caches."""
    _CLEAR(connection, run_id=run_id)
    _CLEAR_CUTOVERS(connection, run_id=run_id)
    _CLEAR_CACHES(connection, run_id=run_id)


def mark_rewritten(connection: Connection, table: TableSpec) -> None:
    """A worker found another file than the one the blocks were cut from."""
    _MARK_REWRITTEN(connection, **_id(table))


def set_heap_extent(connection: Connection, table: TableSpec, extent: HeapExtent) -> None:
    """The file and its length when capture had committed; nothing is cut of it yet."""
    blocks = {"heap_blocks": extent.blocks, "all_blocks": extent.all_blocks}
    _SET_HEAP_EXTENT(connection, **_id(table), filenode=extent.filenode, **blocks)


def restart_copy(connection: Connection, table: TableSpec) -> None:
    """A new generation of chunks."""
    _RESTART_COPY(connection, **_id(table))


def set_rows(connection: Connection, table: TableSpec, rows: int) -> None:
    """They were counted: from now on the estimate is exact, but for what is written."""
    _SET_ROWS(connection, **_id(table), rows=rows)


def set_cut(connection: Connection, table: TableSpec, *, cut_to: Bound | None, finished: bool) -> None:
    document = None if cut_to is None else Jsonb(list(cut_to))
    _SET_CUT(connection, **_id(table), cut_to=document, finished=finished)


def compare_values(connection: Connection, table: TableSpec) -> None:
    """From now on this table is verified by its values: some of its texts are no canonical spellings."""
    _COMPARE_VALUES(connection, **_id(table))


def verify_in_chunks(connection: Connection, table: TableSpec) -> None:
    """From now on it is cut, however small it is: its verification in one piece was too much for one job."""
    _VERIFY_IN_CHUNKS(connection, **_id(table))


def next_round(connection: Connection, table: TableSpec) -> int:
    """Another verification. Returns how many there were."""
    return _NEXT_ROUND.first(connection, **_id(table)) or 0


def add_change_log(connection: Connection, table: TableSpec) -> None:
    _ADD_CHANGE_LOG(connection, **_id(table), log_table=table.log_name, mode=table.capture)
