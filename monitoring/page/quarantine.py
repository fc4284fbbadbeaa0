"""Quarantined rows, for a browser: the first of a table's, and all of them as a file."""

from __future__ import annotations

import asyncio
import json
import tempfile
from itertools import islice
from typing import Any, TextIO

import psycopg
from psycopg import IsolationLevel
from tornado.web import HTTPError

from monitoring.failures.explain import newest_run
from monitoring.page.handlers import Handler
from monitoring.status.quarantine import quarantined_rows, read_quarantine, to_json, write_csv
from replank.errors import ReplankError
from sql.session.connection import Connection, connect

SHOWN_ROWS = 50
PIECE = 64 * 1024
"""Characters of the file that are sent at once."""


class QuarantinedRows(Handler):
    """The rows of one table, oldest first, and how many there are."""

    async def get(self) -> None:
        table = self.get_query_argument("table", "")

        def read(connection: Connection) -> dict[str, Any]:
            run = newest_run(connection)
            shown = [to_json(found) for found in islice(read_quarantine(connection, run, only=table), SHOWN_ROWS)]
            return {"rows": shown, "total": quarantined_rows(connection, run).get(table, 0)}

        try:
            found = await self.context.reader.read(read)
        except (psycopg.Error, ReplankError):
            raise HTTPError(503, reason="The database does not answer") from None
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(found, default=str))


class QuarantineFile(Handler):
    """As `replank quarantine export` writes it, in constant memory."""

    async def get(self) -> None:
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as file:
            try:
                await loop.run_in_executor(self.context.threads, _export, self.context.reader.url, file)
            except (psycopg.Error, ReplankError):
                raise HTTPError(503, reason="The database does not answer") from None
            self.set_header("Content-Type", "text/csv; charset=utf-8")
            self.set_header("Content-Disposition", 'attachment; filename="quarantine.csv"')
            file.seek(0)
            while piece := file.read(PIECE):
                self.write(piece)
                await self.flush()


def _export(url: str, file: TextIO) -> None:
    """From one snapshot, in a session of its own: the page's reads continue meanwhile."""
    with connect(url, name="page export") as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            write_csv(connection, newest_run(connection), file)
