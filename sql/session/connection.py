"""The border to the driver: how connections are opened, and what its errors mean to an operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

import psycopg
from psycopg import IsolationLevel, errors
from psycopg.rows import TupleRow, dict_row
from psycopg.sql import SQL, Composable, Composed

from replank.addresses.addresses import hide
from replank.errors import CannotConnect, NeedsOperator, NoServer, NotAnswering, ReplankError, WrongUse
from replank.settings import without_password
from sql.session.named_queries import query
from sql.session.pooler import refuse_shared_connection
from sql.session.session_settings import SESSION as SESSION
from sql.session.session_settings import set_session
from sql.session.url_parameters import unknown_parameters

Connection = psycopg.Connection[TupleRow]

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
            autocommit=True,
            client_encoding="UTF8",
            application_name=f"replank {name}",
            connect_timeout=connect_timeout_s,
            prepare_threshold=None,
            **KEEPALIVE,  # type: ignore[arg-type]
        )
    except psycopg.OperationalError as error:
        kind = NotAnswering if _may_pass(error) else CannotConnect if _refused(error) else NoServer
        raise kind(_why_not(url, error)) from None
    except (psycopg.ProgrammingError, UnicodeError):
        unknown = unknown_parameters(url)
        raise WrongUse(
            f"{without_password(url)} is not a URL that PostgreSQL's client library understands. "
            + (f"It knows no parameter {', '.join(unknown)}. " if unknown else "")
            + "Write it as postgresql://user:password@host:port/name."
        ) from None
    try:
        # Before the first setting: nothing of ours may stay on a server connection that others are given.
        refuse_shared_connection(connection, without_password(url))
        _refuse_encoding(connection)
        set_session(connection, settings or {})
        # All of a run is its tables' owner's, whichever of its members has logged in (sql/access/roles.py).
        connection.execute(query("roles.become_owner"))
        connection.execute(query("event_triggers.switch_off"))
        # Orphan backends end soon after their client; only PostgreSQL on some systems can watch the socket.
        with _allowing_unsupported():
            apply_settings(connection, {"client_connection_check_interval": "1s"})
        connection.autocommit = autocommit
    except (psycopg.Error, ReplankError):
        connection.close()
        raise
    return connection


def _refuse_encoding(connection: Connection) -> None:
    """Texts of a database that knows no encoding cannot be told from bytes: not here, and not by the application."""
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        raise WrongUse(
            f"Database {connection.info.dbname} has the encoding SQL_ASCII: the server does not know what its bytes "
            "mean, and Replank reads names and keys as text. Dump it, restore it into a database with the encoding "
            "of its texts (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0), and use that."
        )


@contextmanager
def _allowing_unsupported() -> Iterator[None]:
    """Let a setting pass that this server's operating system does not offer."""
    with suppress(errors.InvalidParameterValue, errors.UndefinedObject):
        yield


def apply_settings(connection: Connection, settings: Mapping[str, str], *, local: bool = False) -> None:
    """Set several settings in one round trip, for the session or (`local`) the transaction."""
    if not settings:
        return
    calls = SQL(", ").join(
        SQL("pg_catalog.set_config({}, {}, {})").format(name, value, local) for name, value in settings.items()
    )
    connection.execute(SQL("SELECT {}").format(calls))


@contextmanager
def locally(connection: Connection, settings: Mapping[str, str]) -> Iterator[None]:
    """Settings for the statements of this block; what comes after it in the same transaction has its own back.

    An error needs no undoing: the transaction or savepoint that it ends takes the settings with it.
    """
    if not settings:
        yield
        return
    before = present_settings(connection, settings)
    apply_settings(connection, settings, local=True)
    yield
    apply_settings(connection, before, local=True)


def present_settings(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """What settings are now, by name."""
    wanted = list(names)
    asked = SQL(", ").join(SQL("pg_catalog.current_setting({})").format(name) for name in wanted)
    return dict(zip(wanted, connection.execute(SQL("SELECT {}").format(asked)).fetchall()[0], strict=True))


@contextmanager
def isolated(connection: Connection, level: IsolationLevel | None) -> Iterator[None]:
    """Transactions of this block have the isolation level `level`; None is the session's, READ COMMITTED.

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


def _refused(error: psycopg.OperationalError) -> bool:
    """A server has answered, and does not take us."""
    return "FATAL:" in str(error)


def _may_pass(error: psycopg.OperationalError) -> bool:
    return any(words in str(error) for words in _PASSING)


def _why_not(url: str, error: psycopg.OperationalError) -> str:
    """The server's own words without the parts of the URL that may hold a secret."""
    said = str(error).strip().splitlines()
    reason = said[0].removeprefix("connection failed: ") if said else type(error).__name__
    if "FATAL:" in str(error):
        reason = "FATAL:" + str(error).split("FATAL:", 1)[1].splitlines()[0]
    reason = hide(reason, [url]).strip().rstrip(".")
    return f"Cannot connect to {without_password(url)}: {reason}. Check the URL and that the server runs."


def run(
    connection: Connection,
    statement: Composable,
    params: Mapping[str, Any] | None = None,
    *,
    prepare: bool | None = None,
) -> psycopg.Cursor[TupleRow]:
    """Execute one statement that was composed of fragments.

    `prepare` keeps its plan for the next time, on connections that `keep_plans` was called for.
    """
    return connection.execute(cast(Composed, statement), params, prepare=prepare)


def keep_plans(connection: Connection) -> None:
    """Allow `run(…, prepare=True)` on this connection; nothing else is prepared."""
    connection.prepare_threshold = 1_000_000_000
    connection.prepared_max = 10_000


def rows(
    connection: Connection,
    statement: Composable,
    params: Mapping[str, Any] | None = None,
    *,
    prepare: bool | None = None,
) -> list[dict[str, Any]]:
    """All rows of a query as dictionaries. `prepare` is that of `run`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(cast(Composed, statement), params, prepare=prepare).fetchall()


def row(
    connection: Connection, statement: Composable, params: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The first row of a query as a dictionary, or None."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(cast(Composed, statement), params).fetchone()


def value(connection: Connection, statement: Composable, params: Mapping[str, Any] | None = None) -> Any:
    """The first column of the only row. Raises NeedsOperator if there is none."""
    found = run(connection, statement, params).fetchone()
    if found is None:
        raise NeedsOperator("A query that always returns a row returned none; the ledger may have been edited by hand.")
    return found[0]
