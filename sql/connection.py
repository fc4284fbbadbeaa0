"""The border to the driver: how connections are opened, and what its errors mean to an operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

import psycopg
from psycopg import IsolationLevel, errors, sql
from psycopg.rows import TupleRow, dict_row

from replank.errors import CannotConnect, NeedsPerson, NotAnswering, WrongUse
from replank.settings import without_password
from sql.named import query

Connection = psycopg.Connection[TupleRow]

SESSION: Mapping[str, str] = {
    # A bound of a chunk travels as text and must mean the same value in every session.
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "search_path": "pg_catalog",
    # An error, where a policy would hide rows from us: they would be missing in the next table, and nobody would see.
    "row_security": "off",
    "client_min_messages": "warning",
    # Before version 18 a disabled plan node costs so much that even a lookup of ten keys would be compiled.
    "jit": "off",
    "idle_in_transaction_session_timeout": "60s",
}

KEEPALIVE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


def connect(
    url: str,
    *,
    name: str,
    settings: Mapping[str, str] | None = None,
    autocommit: bool = True,
    connect_timeout_s: int = 10,
) -> Connection:
    """Open a connection called `replank NAME`. Raises WrongUse, without the password, if that fails."""
    try:
        connection = psycopg.connect(
            url,
            autocommit=autocommit,
            application_name=f"replank {name}",
            connect_timeout=connect_timeout_s,
            prepare_threshold=None,
            **KEEPALIVE,  # type: ignore[arg-type]
        )
    except psycopg.OperationalError as error:
        kind = NotAnswering if _may_pass(error) else CannotConnect
        raise kind(_why_not(url, error)) from None
    except (psycopg.ProgrammingError, UnicodeError):
        raise WrongUse(
            f"{without_password(url)} is not a URL that PostgreSQL's client library understands. "
            "Write it as postgresql://user:password@host:port/name."
        ) from None
    apply_settings(connection, {**SESSION, **(settings or {})})
    connection.execute(query("event_triggers.switch_off"))
    if not autocommit:
        connection.commit()
    # Orphan backends end soon after their client; only PostgreSQL on some systems can watch the socket.
    with _allowing_unsupported():
        apply_settings(connection, {"client_connection_check_interval": "1s"})
    return connection


@contextmanager
def _allowing_unsupported() -> Iterator[None]:
    """Let a setting pass that this server's operating system does not offer."""
    with suppress(errors.InvalidParameterValue, errors.UndefinedObject):
        yield


def apply_settings(connection: Connection, settings: Mapping[str, str], *, local: bool = False) -> None:
    """Set several settings in one round trip, for the session or (`local`) the transaction."""
    if not settings:
        return
    calls = sql.SQL(", ").join(
        sql.SQL("pg_catalog.set_config({}, {}, {})").format(name, value, local) for name, value in settings.items()
    )
    connection.execute(sql.SQL("SELECT {}").format(calls))


@contextmanager
def isolated(connection: Connection, level: IsolationLevel | None) -> Iterator[None]:
    """Transactions of this block have the isolation level `level`.

    A session that was lost in the block cannot be reset, and trying would hide why it was lost.
    """
    connection.isolation_level = level
    try:
        yield
    finally:
        if not connection.closed:
            connection.isolation_level = None


_PASSING = ("the database system is ", "Connection refused", "closed the connection unexpectedly", "timeout expired")
"""What client library and server say while one restarts: of connections that fail there is no SQLSTATE."""


def _may_pass(error: psycopg.OperationalError) -> bool:
    return any(words in str(error) for words in _PASSING)


def _why_not(url: str, error: psycopg.OperationalError) -> str:
    """The server's own words without the parts of the URL that may hold a secret."""
    said = str(error).strip().splitlines()
    reason = said[0].removeprefix("connection failed: ") if said else type(error).__name__
    if "FATAL:" in str(error):
        reason = "FATAL:" + str(error).split("FATAL:", 1)[1].splitlines()[0]
    return f"Cannot connect to {without_password(url)}: {reason.strip()}. Check the URL and that the server runs."


def run(
    connection: Connection,
    statement: sql.Composable,
    params: Mapping[str, Any] | None = None,
    *,
    prepare: bool | None = None,
) -> psycopg.Cursor[TupleRow]:
    """Execute one statement that was composed of fragments.

    `prepare` keeps its plan for the next time, on connections that `keep_plans` was called for.
    """
    return connection.execute(cast(sql.Composed, statement), params, prepare=prepare)


def keep_plans(connection: Connection) -> None:
    """Allow `run(…, prepare=True)` on this connection; nothing else is prepared."""
    connection.prepare_threshold = 1_000_000_000
    connection.prepared_max = 10_000


def rows(
    connection: Connection,
    statement: sql.Composable,
    params: Mapping[str, Any] | None = None,
    *,
    prepare: bool | None = None,
) -> list[dict[str, Any]]:
    """All rows of a query as dictionaries. `prepare` is that of `run`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(cast(sql.Composed, statement), params, prepare=prepare).fetchall()


def row(
    connection: Connection, statement: sql.Composable, params: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The first row of a query as a dictionary, or None."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(cast(sql.Composed, statement), params).fetchone()


def value(connection: Connection, statement: sql.Composable, params: Mapping[str, Any] | None = None) -> Any:
    """The first column of the only row. Raises NeedsPerson if there is none."""
    found = run(connection, statement, params).fetchone()
    if found is None:
        raise NeedsPerson("A query that always answers gave no row; the ledger may have been edited by hand.")
    return found[0]


def script(connection: Connection, statements: sql.Composable) -> None:
    """Execute several statements in one round trip (the simple protocol: no parameters)."""
    run(connection, statements)
