"""Statements that builders return: a run executes them, `compile` prints them, and nothing else tells them apart.

A builder asks the server what it needs to know, and changes nothing. Where a definition can only be asked of what was
built before, it is a generator: each statement is executed, in a run or in a scratch that is rolled back, before the
next one is composed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Composable, Identifier, Literal

from sql.session.connection import Connection, apply_settings, present_settings, run

AT_REST: Mapping[str, str] = {"search_path": "pg_catalog", "default_tablespace": ""}
"""What `Statement.settings` may name, and what it is in a script that has not named it."""


IN_PG_CATALOG: Mapping[str, str] = {"search_path": AT_REST["search_path"]}
"""For what the server has spelled there, and what calls functions of others that have no search_path of their own."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement that changes something.

    `settings` are those that its names hang on; with none, it means the same under any. `run_only`: what depends on the
    run or the roles around it, and is no part of a script. `concurrently`: it refuses a transaction block.
    """

    sql: Composable
    settings: Mapping[str, str] = field(default_factory=dict)
    run_only: bool = False
    concurrently: bool = False


def stated(statements: Iterable[Composable]) -> Iterator[Statement]:
    """Each as a statement that hangs on no setting."""
    return (Statement(sql=each) for each in statements)


def execute(connection: Connection, statements: Iterable[Statement]) -> None:
    """Execute each before the next one is taken, in the caller's transaction if there is one.

    While a builder composes, settings are what they were before.
    """
    for statement in statements:
        with _under(connection, statement.settings):
            run(connection, statement.sql)


def printed(statements: Iterable[Statement]) -> list[Composable]:
    """The same for the inside of a script's transaction, with their settings; nothing is executed.

    Raises ValueError for one that refuses a transaction: `sql.scripts.psql_script.alone` prints it.
    """
    present = {"search_path": AT_REST["search_path"]}
    made: list[Composable] = []
    for statement in statements:
        if statement.concurrently:
            raise ValueError(f"no transaction may hold this: {statement.sql.as_string(None)}")
        if not statement.run_only:
            made += [_set(name, value) for name, value in _due(present, statement.settings).items()]
            made.append(statement.sql)
    return made


READ_ONLY: Mapping[str, str] = {"default_transaction_read_only": "on"}
"""A session that prints what others execute: only a `scratch` may change something in it."""


@contextmanager
def scratch(connection: Connection) -> Iterator[None]:
    """A transaction that may build, also in a session that is otherwise read-only, and is rolled back in any case."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET TRANSACTION READ WRITE")
        yield


@contextmanager
def only_reading(connection: Connection) -> Iterator[None]:
    """Whatever would change something fails in here (SQLSTATE 25006), also within a transaction that may."""
    with connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY")
        yield


def sketched(connection: Connection, statements: Iterable[Statement]) -> list[Statement]:
    """Build in the caller's `scratch` what a script is to build, and keep the statements.

    Only what the builder returns is executed: composing itself may read alone.
    """
    made: list[Statement] = []
    left = iter(statements)
    while True:
        with only_reading(connection):
            statement = next(left, None)
        if statement is None:
            return made
        if not statement.run_only:
            execute(connection, [statement])
            made.append(statement)


@contextmanager
def _under(connection: Connection, settings: Mapping[str, str]) -> Iterator[None]:
    before = present_settings(connection, settings) if settings else {}
    if before == settings:
        yield
        return
    local = not connection.autocommit or connection.info.transaction_status is not TransactionStatus.IDLE
    apply_settings(connection, settings, local=local)
    try:
        yield
    except BaseException:
        # Within a transaction, what takes the failed statement back takes the settings with it.
        if not local and not connection.closed:
            apply_settings(connection, before)
        raise
    apply_settings(connection, before, local=local)


def _due(present: dict[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """What of it has to be set; `present` follows."""
    due = {name: value for name, value in wanted.items() if present.get(name) != value}
    present.update(due)
    return due


def setting(name: str, value: str) -> Composable:
    """A setting's value behind SET: a search_path is a list of names; every other value is a text."""
    return SQL(value) if name == "search_path" else Literal(value)  # names that were quoted when it was made


def _set(name: str, value: str) -> Composable:
    return SQL("SET LOCAL {} TO {}").format(Identifier(name), setting(name, value))
