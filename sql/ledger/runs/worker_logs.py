"""Where the workers that `run --workers` starts write their logs: other machines' operators ask the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from sql.ledger.schema.run_tables import WORKER_LOG
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given


@dataclass(frozen=True, kw_only=True)
class WorkerLog:
    host: str
    file: str


_L = WORKER_LOG.c
_KEEP = Command(
    insert(WORKER_LOG).values(run_id=given("run_id"), host=given("host"), file=given("file")).on_conflict_do_nothing()
)
_OF_RUN = Query(select(_L.host, _L.file).where(_L.run_id == given("run_id")).order_by(_L.at.desc()), WorkerLog)


def keep(connection: Connection, run_id: int, log: WorkerLog) -> None:
    _KEEP(connection, run_id=run_id, host=log.host, file=log.file)


def worker_logs(connection: Connection, run_id: int) -> list[WorkerLog]:
    """The newest first."""
    return _OF_RUN.all(connection, run_id=run_id)
