"""Where the workers that `run --workers` starts write their logs: other machines' operators ask the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from sql.session.connection import Connection, rows
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class WorkerLog:
    host: str
    file: str


def keep(connection: Connection, run_id: int, log: WorkerLog) -> None:
    connection.execute(query("worker_logs.keep"), {"run_id": run_id, "host": log.host, "file": log.file})


def worker_logs(connection: Connection, run_id: int) -> list[WorkerLog]:
    """The newest first."""
    return [WorkerLog(**found) for found in rows(connection, query("worker_logs.of_run"), {"run_id": run_id})]
