"""Which process leads a database's run: the one that holds one advisory lock, for as long as its session lives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sql.session.connection import Connection, row
from sql.session.named_queries import query

LEADER_LOCK = 0x7265_706C_0002


@dataclass(frozen=True, kw_only=True)
class Leader:
    """The session that leads. `name` is empty and `since` None where this role may not see others' sessions."""

    pid: int
    name: str
    since: datetime | None


def read_leader(connection: Connection) -> Leader | None:
    """Which process leads this database's run now: a coordinator, a rollback, a finish; None where there is none."""
    lock = {"high": LEADER_LOCK >> 32, "low": LEADER_LOCK & 0xFFFF_FFFF}
    found = row(connection, query("metrics.leader"), lock)
    return None if found is None else Leader(**found)


def leader_json(leader: Leader | None) -> dict[str, Any]:
    """As `status --json` says it under `coordinator`."""
    if leader is None:
        return {"alive": False, "name": "", "since": None}
    return {"alive": True, "name": leader.name, "since": leader.since and leader.since.isoformat()}
