"""Tables of a run in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from replank.errors import NeedsOperator
from replank.values.chunk import Axis, Bound
from replank.values.states import TableState, sources
from replank.values.table_spec import TableSpec
from sql.rows.copy import HeapExtent
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query
from sql.values.conversion import ComparedBy


@dataclass(frozen=True, kw_only=True)
class RunTable:
    """A table of a run as the ledger has it."""

    run_id: int
    table_no: int
    set_no: int
    state: TableState
    spec: TableSpec
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


def _run_table(found: dict[str, Any]) -> RunTable:
    spec = TableSpec.from_json(found["spec"])
    cut_to = None if found["cut_to"] is None else tuple(found["cut_to"])
    values = {name: found[name] for name in found if name not in ("schema_name", "table_name", "errors_from")}
    return RunTable(
        **{
            **values,
            "spec": spec,
            "state": TableState(found["state"]),
            "axis": Axis(found["axis"]),
            "compared_by": ComparedBy(found["compared_by"]),
            "cut_to": cut_to,
            "filenode": int(found["filenode"] or 0),
            "heap_blocks": int(found["heap_blocks"] or 0),
            "all_blocks": int(found["all_blocks"] or 0),
        }
    )


def add_table(
    connection: Connection, spec: TableSpec, *, set_no: int, axis: Axis, axis_reason: str, rows_estimate: int
) -> None:
    connection.execute(
        query("ledger.add_table"),
        {
            "run_id": spec.run_id,
            "table_no": spec.table_no,
            "schema_name": spec.schema,
            "table_name": spec.name,
            "set_no": set_no,
            "spec": Jsonb(spec.to_json()),
            "axis": str(axis),
            "axis_reason": axis_reason,
            "rows_estimate": rows_estimate,
        },
    )


def read_tables(connection: Connection, run_id: int) -> list[RunTable]:
    return [_run_table(r) for r in rows(connection, query("ledger.tables"), {"run_id": run_id})]


def read_table(connection: Connection, run_id: int, table_no: int) -> RunTable:
    found = row(connection, query("ledger.table_by_no"), {"run_id": run_id, "table_no": table_no})
    if found is None:
        raise NeedsOperator(f"Table {table_no} of run {run_id} is not in the ledger.")
    return _run_table(found)


def resolved_together(connection: Connection, table: RunTable) -> list[TableSpec]:
    """The tables of its set that quarantine concerns, itself among them; none if it does not concern this one."""
    if not table.spec.settles:
        return []
    of_run = read_tables(connection, table.run_id)
    return [other.spec for other in of_run if other.set_no == table.set_no and other.spec.settles]


def move_table(connection: Connection, table: TableSpec, state: TableState) -> bool:
    """Move a table; False where `replank.states` does not allow it from where it is."""
    moved = row(
        connection,
        query("ledger.set_table_state"),
        {**_id(table), "state": str(state), "sources": sources(state)},
    )
    return moved is not None


def _id(table: TableSpec) -> dict[str, int]:
    return {"run_id": table.run_id, "table_no": table.table_no}


def postpone_table(connection: Connection, table: TableSpec, *, delay_s: float, problem: str) -> int:
    """Try again after `delay_s`. Returns how often that was."""
    found = row(connection, query("ledger.postpone_table"), {**_id(table), "delay_s": delay_s, "problem": problem})
    return 0 if found is None else int(found["attempts"])


def block_table(connection: Connection, table: TableSpec, problem: str) -> None:
    """Only the operator can let this table continue."""
    connection.execute(query("ledger.block_table"), {**_id(table), "problem": problem})


def clear_problems(connection: Connection, run_id: int) -> None:
    connection.execute(query("ledger.clear_problems"), {"run_id": run_id})
    connection.execute(query("ledger.clear_set_problems"), {"run_id": run_id})
    connection.execute(query("caches.clear_cache_problems"), {"run_id": run_id})


def mark_rewritten(connection: Connection, table: TableSpec) -> None:
    connection.execute(query("ledger.mark_rewritten"), _id(table))


def set_heap_extent(connection: Connection, table: TableSpec, extent: HeapExtent) -> None:
    named = {"filenode": extent.filenode, "heap_blocks": extent.blocks, "all_blocks": extent.all_blocks}
    connection.execute(query("ledger.set_heap_extent"), {**_id(table), **named})


def restart_copy(connection: Connection, table: TableSpec) -> None:
    connection.execute(query("ledger.restart_copy"), _id(table))


def set_rows(connection: Connection, table: TableSpec, rows: int) -> None:
    """They were counted: from now on the estimate is exact, but for what is written."""
    connection.execute(query("ledger.set_rows"), {**_id(table), "rows": rows})


def set_cut(connection: Connection, table: TableSpec, *, cut_to: Bound | None, finished: bool) -> None:
    document = None if cut_to is None else Jsonb(list(cut_to))
    connection.execute(query("ledger.set_cut"), {**_id(table), "cut_to": document, "finished": finished})


def compare_values(connection: Connection, table: TableSpec) -> None:
    """From now on this table is verified by its values: some of its texts are no canonical spellings."""
    connection.execute(query("ledger.compare_values"), _id(table))


def verify_in_chunks(connection: Connection, table: TableSpec) -> None:
    """From now on it is cut, however small it is: its verification in one piece was too much for one job."""
    connection.execute(query("ledger.verify_in_chunks"), _id(table))


def next_round(connection: Connection, table: TableSpec) -> int:
    found = row(connection, query("ledger.next_round"), _id(table))
    return 0 if found is None else int(found["rounds"])


def add_change_log(connection: Connection, table: TableSpec) -> None:
    connection.execute(
        query("ledger.add_change_log"), {**_id(table), "log_table": table.log_name, "mode": table.capture}
    )
