"""Quarantine in the ledger: which tables take part, since when, and how many of their rows are quarantined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg.sql import SQL
from sqlalchemy import and_, delete, insert, not_, select, update

from replank.values.table_spec import TableSpec
from sql.ledger.schema.table_tables import QUARANTINE
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given


@dataclass(frozen=True, kw_only=True)
class _Quarantined:
    table_no: int
    rows: int


_RUN = QUARANTINE.c.run_id == given("run_id")
_TABLE = and_(_RUN, QUARANTINE.c.table_no == given("table_no"))
_ADD = Command(insert(QUARANTINE).values(run_id=given("run_id"), table_no=given("table_no")))
_REMOVE = Command(delete(QUARANTINE).where(_TABLE))
_JOIN = Command(update(QUARANTINE).values(joined=True).where(_TABLE, not_(QUARANTINE.c.joined)))
_JOINED = Query(select(QUARANTINE.c.table_no).where(_RUN, QUARANTINE.c.joined).order_by(QUARANTINE.c.table_no), int)
_SET_ROWS = Command(update(QUARANTINE).values(rows=given("rows")).where(_TABLE))
_ROWS = Query(
    select(QUARANTINE.c.table_no, QUARANTINE.c.rows).where(_RUN).order_by(QUARANTINE.c.table_no), _Quarantined
)


def hold(connection: Connection, specs: Iterable[TableSpec], *, patient: bool) -> None:
    """No other session resolves a quarantine until the transaction ends. Nothing is locked where no table has one.

    It has to be the transaction's first statement: its snapshot then sees what the one before has resolved.
    No query may come before it, not even one for a setting. With `patient` it waits as long as another drain
    works, and the transaction has no lock_timeout until one is set.
    """
    if any(spec.settles for spec in specs):
        if patient:
            connection.execute(SQL("SET LOCAL lock_timeout = 0"))
        connection.execute(SQL("LOCK TABLE replank.quarantine IN SHARE UPDATE EXCLUSIVE MODE"))


def add(connection: Connection, spec: TableSpec) -> None:
    """Its rows may be quarantined from now on."""
    _ADD(connection, run_id=spec.run_id, table_no=spec.table_no)


def remove(connection: Connection, spec: TableSpec) -> None:
    """Its run is rolled back."""
    _REMOVE(connection, run_id=spec.run_id, table_no=spec.table_no)


def join(connection: Connection, spec: TableSpec) -> bool:
    """From now on quarantine is kept right in this table. False if it was so before."""
    return _JOIN(connection, run_id=spec.run_id, table_no=spec.table_no) > 0


def joined(connection: Connection, run_id: int) -> set[int]:
    """Numbers of the tables that quarantine is kept right in."""
    return set(_JOINED.all(connection, run_id=run_id))


def set_rows(connection: Connection, spec: TableSpec, count: int) -> None:
    _SET_ROWS(connection, run_id=spec.run_id, table_no=spec.table_no, rows=count)


def quarantined_rows(connection: Connection, run_id: int) -> dict[int, int]:
    """Table number → rows quarantined, for the tables that may have some."""
    return {found.table_no: found.rows for found in _ROWS.all(connection, run_id=run_id)}
