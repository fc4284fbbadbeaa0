"""A worker whose database role may not work ends with the sentence that says why, whichever process finds it out."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

import psycopg

from replank.errors import MayNot
from sql.access.roles import refuse_who_cannot_work
from sql.ledger.runs.refusals import notify_refused
from sql.session.connection import Connection, connect

WHO = "A worker"


def refuse(connection: Connection, worker: str) -> bool:
    """Raise MayNot where this session's login may not work, after it was said aloud for the coordinator to hear.

    False where there is no ledger yet: then it is unknown, and the session has not become the ledger's owner.
    """
    try:
        return refuse_who_cannot_work(connection, WHO)
    except MayNot as error:
        with suppress(psycopg.Error):
            notify_refused(connection, login=error.login, worker=worker)
        raise


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
        self.error: MayNot | None = None

    def send(self, error: MayNot) -> None:
        """Called in a child."""
        os.write(self._writing, b"\0".join(part.encode() for part in (str(error), error.hint, error.login)))

    def watch(self) -> None:
        """Called in the worker: a thread waits until a child says so, and stops the worker as SIGTERM does."""
        threading.Thread(target=self._wait, name="refusals", daemon=True).start()

    def _wait(self) -> None:
        parts = os.read(self._reading, 4096).split(b"\0")
        message, hint, login = (part.decode(errors="replace") for part in parts[:3])
        self.error = MayNot(message, hint=hint, login=login)
        os.kill(os.getpid(), signal.SIGTERM)
