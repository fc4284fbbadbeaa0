"""Python's drivers without an ORM: psycopg 2 and 3, asyncpg."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import psycopg
import psycopg2

from clients.client import Client, Ids, Refused, parameters, statements

_FORMAT = statements("%s", "%s")
_NUMBERED = statements("$1", "$2")


class DriverSession:
    """A connection of psycopg 2 or 3, in autocommit."""

    def __init__(self, connection: Any, errors: type[Exception]) -> None:
        self.connection = connection
        self.errors = errors

    def run(self, kind: str, ids: Ids) -> str:
        text, names = _FORMAT[kind]
        cursor = self.connection.cursor()
        try:
            cursor.execute(text, parameters(names, ids))
            row = cursor.fetchone() if cursor.description else None
        except self.errors as error:
            raise Refused(str(error)) from None
        finally:
            cursor.close()
        return type(row[0]).__name__ if row else ""

    def close(self) -> None:
        self.connection.close()


def psycopg2_session(url: str) -> DriverSession:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    return DriverSession(connection, psycopg2.Error)


def psycopg_session(url: str) -> DriverSession:
    return DriverSession(psycopg.connect(url, autocommit=True), psycopg.Error)


def unprepared_session(url: str) -> DriverSession:
    return DriverSession(psycopg.connect(url, autocommit=True, prepare_threshold=None), psycopg.Error)


class AsyncpgSession:
    """A pool of one connection, with a loop of its own."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.pool = self.runner.run(self._open(url))

    async def _open(self, url: str) -> Any:
        return await asyncpg.create_pool(url, min_size=1, max_size=1)

    def run(self, kind: str, ids: Ids) -> str:
        return self.runner.run(self._run(kind, ids))

    async def _run(self, kind: str, ids: Ids) -> str:
        text, names = _NUMBERED[kind]
        try:
            rows = await self.pool.fetch(text, *parameters(names, ids))
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Refused(str(error)) from None
        return type(rows[0][0]).__name__ if rows else ""

    def close(self) -> None:
        self.runner.run(self.pool.close())
        self.runner.close()


CLIENTS = (
    Client(
        name="psycopg2",
        sends="literals; a list is `ARRAY['…']`, which is `text[]`",
        change="`= ANY (%s::uuid[])` at the cutover, or `IN %s` with a tuple before it",
        open=psycopg2_session,
    ),
    Client(
        name="psycopg 3",
        sends="without a type; prepared after five uses",
        change="`prepare_threshold=None`, or new connections",
        open=psycopg_session,
    ),
    Client(
        name="psycopg 3, `prepare_threshold=None`", sends="without a type", change="nothing", open=unprepared_session
    ),
    Client(
        name="asyncpg", sends="in the types that the server says; cached", change="new connections", open=AsyncpgSession
    ),
)
