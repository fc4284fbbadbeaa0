"""How many processes an operator wants workers to have."""

from __future__ import annotations

from sql.session.connection import Connection, row
from sql.session.named_queries import query


def keep(connection: Connection, run_id: int, *, worker: str, processes: int) -> None:
    named = {"run_id": run_id, "worker": worker, "processes": processes}
    connection.execute(query("wishes.keep"), named)


def wished(connection: Connection, run_id: int, worker: str) -> int | None:
    """None where nobody has said anything of this worker."""
    found = row(connection, query("wishes.wished"), {"run_id": run_id, "worker": worker})
    return None if found is None else int(found["processes"])
