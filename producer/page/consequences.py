"""What hangs on a cutover or a rollback, in lines, for the question whether it is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.status.read_status import read_status
from monitoring.status.status import Status
from monitoring.status.table_progress import TableProgress
from producer.operator.incomplete_data import SHOWN_TABLES, incomplete_data
from producer.rollback.choice import run_to_undo
from producer.rollback.question import read_extent
from replank.errors import WrongUse
from replank.values.states import RunState, TableState
from replank.wording import counted, verb
from sql.session.connection import Connection

SHOWN_LINES = 40

BEHIND_SWAP = (TableState.SWAPPED, TableState.VALIDATING, TableState.DONE, TableState.SWAPPED_BACK, TableState.RESTORED)


@dataclass(frozen=True, kw_only=True)
class Consequences:
    """Where it happens and what it does. `host` is a name or folder with a port."""

    run_id: int
    database: str
    host: str
    lines: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"run": self.run_id, "database": self.database, "host": self.host, "lines": list(self.lines)}


def of_cutover(connection: Connection) -> Consequences:
    """Of the newest run."""
    status = read_status(connection)
    going = [t for t in status.tables if TableState(t.state) not in BEHIND_SWAP and not t.why.startswith("backfill")]
    rows = sum(table.rows_total for table in going)
    late = [table for table in going if table.state != TableState.READY]
    lines = [
        f"{counted(len(going), 'table')} with {counted(rows, 'row')} {verb(len(going), 'is')} swapped: {_named(going)}."
    ]
    if late:
        lines.append(f"Not verified yet, so not swapped before that: {_named(late)}.")
    return _told(status, [*lines, *incomplete_data(connection, status.run)])


def of_rollback(connection: Connection) -> Consequences:
    """Of the run that a rollback would undo. Raises WrongUse where there is none."""
    run = run_to_undo(connection, None)
    status = read_status(connection)
    if status.run.run_id != run.run_id:
        raise WrongUse(f"Run {run.run_id} would be rolled back, and it is not the newest one. Use `replank rollback`.")
    extent = read_extent(connection, run, None)
    lines = list(extent.lines)
    if len(lines) > SHOWN_LINES:
        lines = [*lines[:SHOWN_LINES], f"… and {len(lines) - SHOWN_LINES} more"]
    rows = sum(table.rows_total for table in status.tables)
    state = "done" if run.state is RunState.DONE else "under way"
    size = f"{counted(len(status.tables), 'table')} with {counted(rows, 'row')}"
    first = f"Run {run.run_id} of plan {run.plan_name}, {state}: {size}."
    return _told(status, [first, *lines, *extent.incomplete_data])


def confirm(connection: Connection, typed: str) -> None:
    """Raises WrongUse unless what was typed is the name of this session's database."""
    name = connection.info.dbname
    if typed != name:
        raise WrongUse(f"This is database {name}, and {typed!r} was entered. Nothing was changed.")


def _told(status: Status, lines: Sequence[str]) -> Consequences:
    return Consequences(run_id=status.run.run_id, database=status.database, host=status.host, lines=tuple(lines))


def _named(found: Sequence[TableProgress]) -> str:
    """`public.a (1,000 rows), public.b (20 rows), and 3 more`."""
    told = [f"{table.name} ({counted(table.rows_total, 'row')})" for table in found[:SHOWN_TABLES]]
    more = len(found) - SHOWN_TABLES
    return ", ".join([*told, f"and {more:,} more"] if more > 0 else told) or "none"
