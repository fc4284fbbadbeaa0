"""How many processes an operator wants workers to have."""

from __future__ import annotations

from sql.session.connection import Connection, row
from sql.session.named_queries import query


def keep(connection: Connection, run_id: int, *, worker: str, processes: int) -> None:
    named = {"run_id": run_id, "worker": worker, "processes": processes}
    connection.execute(query("pool_sizes.keep"), named)


def wanted_sizes(connection: Connection, run_id: int, worker: str) -> int | None:
    """None where no size was set for this worker."""
    found = row(connection, query("pool_sizes.wanted_sizes"), {"run_id": run_id, "worker": worker})
    return None if found is None else int(found["processes"])
