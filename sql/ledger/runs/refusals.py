"""Workers whose database role may not work for the run: they cannot write it into the ledger, so they say it aloud.

Every role may NOTIFY. The coordinator receives it, checks it in the catalogue, and keeps it as an event.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.sql import SQL, Identifier

from sql.ledger.runs.events import WAKE_UP, add_event
from sql.session.connection import Connection
from sql.session.typed_queries import Query

KIND = "refused"
SHOWN_FOR_S = 3600.0
LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True)
class RefusedWorker:
    """`login` still has no right; the worker said so `at`. `grant` is the statement that it needs."""

    login: str
    worker: str
    at: datetime
    grant: str

    @property
    def words(self) -> str:
        return f"worker {self.worker} was refused at {self.at:%H:%M:%S}: {self.grant} Then start it again."

    def to_json(self) -> dict[str, Any]:
        return {"login": self.login, "worker": self.worker, "at": self.at.isoformat(), "grant": self.grant}


_WITHOUT_RIGHTS = Query("roles.without_rights", str)
_REFUSED = Query("roles.refused", RefusedWorker)


def notify_refused(connection: Connection, *, login: str, worker: str) -> None:
    """Say aloud that this worker's login has no right to work."""
    document = json.dumps({KIND: {"login": login, "worker": worker[:LONGEST_NAME]}})
    connection.execute(SQL("SELECT pg_notify({}, {})").format(WAKE_UP, document))


def listen(connection: Connection) -> None:
    """From now on this session hears what refused workers and all others say. It may be called again."""
    connection.execute(SQL("LISTEN {}").format(Identifier(WAKE_UP)))


def note_notifications(connection: Connection, run_id: int) -> None:
    """Keep what refused workers have said since this session listens, without waiting for more."""
    for notice in list(connection.notifies(timeout=0)):
        note_refused(connection, run_id, notice.payload)


def note_refused(connection: Connection, run_id: int, payload: str) -> None:
    """Keep what a notification says of a refused worker, if it is one and true. Any role may have sent it."""
    refused = _parsed(payload)
    if refused is None:
        return
    login, worker = refused
    if not _WITHOUT_RIGHTS.all(connection, logins=[login]):
        return
    if any((each.login, each.worker) == (login, worker) for each in read_refused(connection, run_id)):
        return
    add_event(connection, run_id, actor="worker", kind=KIND, subject=login, message=worker)


def read_refused(connection: Connection, run_id: int) -> Sequence[RefusedWorker]:
    """Workers that were refused within the last hour, and whose login has no right yet; the latest first."""
    return _REFUSED.all(connection, run_id=run_id, kind=KIND, seconds=SHOWN_FOR_S)


def _parsed(payload: str) -> tuple[str, str] | None:
    """Login and worker, printable and short; None where the payload says something else."""
    if not payload.startswith("{"):
        return None
    try:
        document = json.loads(payload)[KIND]
        login, worker = document["login"], document["worker"]
    except (ValueError, KeyError, TypeError):
        return None
    if not (isinstance(login, str) and isinstance(worker, str)):
        return None
    return login, "".join(letter for letter in worker[:LONGEST_NAME] if letter.isprintable())
