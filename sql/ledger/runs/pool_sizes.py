"""How many processes an operator wants workers to have."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from sql.ledger.schema.run_tables import POOL_SIZE
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given

_NEWEST = insert(POOL_SIZE).values(run_id=given("run_id"), worker=given("worker"), processes=given("processes"))
_KEEP = Command(
    _NEWEST.on_conflict_do_update(
        index_elements=["run_id", "worker"],
        set_={"processes": _NEWEST.excluded.processes, "at": func.clock_timestamp()},
    )
)
_WANTED = Query(
    select(POOL_SIZE.c.processes).where(POOL_SIZE.c.run_id == given("run_id"), POOL_SIZE.c.worker == given("worker")),
    int,
)


def keep(connection: Connection, run_id: int, *, worker: str, processes: int) -> None:
    """An operator's newest wish for a worker replaces the one before."""
    _KEEP(connection, run_id=run_id, worker=worker, processes=processes)


def wanted_sizes(connection: Connection, run_id: int, worker: str) -> int | None:
    """None where no size was set for this worker."""
    return _WANTED.first(connection, run_id=run_id, worker=worker)
