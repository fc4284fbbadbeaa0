"""A worker that may not work here, by its role or by its version, ends with the sentence that says why.

Whichever of its processes finds it out.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

import psycopg

from replank.errors import MayNot, OtherVersion
from sql.access.roles import refuse_who_cannot_work
from sql.ledger.runs.refusals import notify_refused
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection, connect

WHO = "A worker"

Refused = MayNot | OtherVersion


def refuse(connection: Connection, worker: str) -> bool:
    """Raise MayNot where this session's login may not work, after it was said aloud for the coordinator to hear.

    Raises OtherVersion where the ledger is not of this version. False where there is no ledger yet: then both are
    unknown, and the session has not become the ledger's owner.
    """
    try:
        refuse_who_cannot_work(connection, WHO)
    except MayNot as error:
        with suppress(psycopg.Error):
            notify_refused(connection, login=error.login, worker=worker)
        raise
    return ledger_exists(connection)


def refuse_at_start(url: str, worker: str) -> None:
    """The same over a session of its own. A database that does not answer yet refuses no role."""
    with suppress(psycopg.OperationalError), connect(url, name="worker start") as connection:
        refuse(connection, worker)


class Refusals:
    """From the child processes to the worker itself: the first refusal ends it, once their present jobs have ended.

    A worker may be started before there is a ledger, so it is a child that finds it out. Made before the fork.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        self.error: Refused | None = None

    def send(self, error: Refused) -> None:
        """Called in a child."""
        login = error.login if isinstance(error, MayNot) else ""
        os.write(self._writing, b"\0".join(part.encode() for part in (str(error), error.hint, login)))

    def watch(self) -> None:
        """Called in the worker: a thread waits until a child says so, and stops the worker as SIGTERM does."""
        threading.Thread(target=self._wait, name="refusals", daemon=True).start()

    def _wait(self) -> None:
        parts = os.read(self._reading, 4096).split(b"\0")
        message, hint, login = (part.decode(errors="replace") for part in parts[:3])
        self.error = MayNot(message, hint=hint, login=login) if login else OtherVersion(message, hint=hint)
        os.kill(os.getpid(), signal.SIGTERM)
