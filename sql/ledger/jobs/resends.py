"""Jobs that were sent again because no worker had claimed them in time: how many, and why most likely."""

from __future__ import annotations

from replank.values.states import ResendCause
from sql.session.connection import Connection, rows
from sql.session.named_queries import query


def keep(connection: Connection, run_id: int, *, cause: ResendCause, jobs: int) -> None:
    connection.execute(query("resends.keep"), {"run_id": run_id, "cause": str(cause), "jobs": jobs})


def lately(connection: Connection, run_id: int, *, seconds: float) -> dict[ResendCause, int]:
    """Those of the last seconds, by cause, the most frequent first."""
    found = rows(connection, query("resends.lately"), {"run_id": run_id, "seconds": seconds})
    return {ResendCause(r["cause"]): r["jobs"] for r in found}


def totals(connection: Connection, run_id: int) -> dict[ResendCause, int]:
    """Those of the whole run; every cause, 0 where there were none."""
    found = {r["cause"]: r["jobs"] for r in rows(connection, query("resends.totals"), {"run_id": run_id})}
    return {cause: found.get(cause, 0) for cause in ResendCause}
