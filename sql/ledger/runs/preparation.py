"""What a run that is being prepared tells other sessions: it writes nothing before it begins, so its name has to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.sql import SQL

from sql.session.connection import Connection, connect
from sql.session.typed_queries import Query

NAME = "run: "
"""After "replank ", in front of what is being done, in the name of a session that does nothing else."""


@dataclass(frozen=True, kw_only=True)
class PreparingSession:
    """The session of a `replank run` that has not begun yet. `since` is None where this role may not see it."""

    pid: int
    role: str
    doing: str
    since: datetime | None


_PREPARING = Query("metrics.preparing", PreparingSession)


def preparing_session(connection: Connection) -> PreparingSession | None:
    """The oldest one on this database; None where no run is being prepared."""
    return _PREPARING.first(connection, prefix=f"replank {NAME}")


class Announcement:
    """A session of its own, so that neither a transaction of the run nor its end touches what is announced."""

    def __init__(self, url: str, words: str) -> None:
        self._connection: Connection | None = connect(url, name=f"{NAME}{words}")

    def update(self, words: str) -> None:
        """From now on this is done. A session that was lost is given up: the run itself finds out what that means."""
        if self._connection is None:
            return
        try:
            self._connection.execute(
                SQL("SELECT pg_catalog.set_config('application_name', {}, false)").format(f"replank {NAME}{words}")
            )
        except psycopg.OperationalError:
            self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
