"""Ending what Replank's own sessions do now. Nobody else's session is ever touched.

A worker's session is known from its lease: process number and the moment the session began. The coordinator's and those
of scripts, of `finish` and of `rollback` are known by the names that `sql.connection` gives them.
"""

from __future__ import annotations

from datetime import datetime

from sql.connection import Connection, rows, value
from sql.named import query

OWN_NAMES = ("replank coordinator", "replank step", "replank finish", "replank rollback")
"""Sessions that change something and are no worker's."""


def end_workers(connection: Connection, run_id: int) -> int:
    """End the sessions that work on leased jobs; their transactions leave nothing. Returns how many there were."""
    return len(rows(connection, query("restraints.end_workers"), {"run_id": run_id}))


def stop_others(connection: Connection, since: datetime, *, hard: bool) -> int:
    """Cancel what our other sessions began before `since`; `hard` ends the sessions. Returns how many there were.

    A COMMIT that is under way is left to come to its end: it is all or nothing by itself.
    """
    named = {"names": list(OWN_NAMES), "since": since, "hard": hard}
    return len(rows(connection, query("restraints.stop_others"), named))


def still_claiming(connection: Connection, since: datetime) -> int:
    """Workers' sessions in a statement that began before `since`: it may not have seen what was said then."""
    return len(rows(connection, query("restraints.claiming"), {"since": since}))


def leased(connection: Connection, run_id: int) -> int:
    return int(value(connection, query("restraints.leased_count"), {"run_id": run_id}))
