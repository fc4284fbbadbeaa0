"""The table of SQLSTATEs is the only one: what class of errors the code names stands in it, or here with a reason."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from replank.sqlstates import STATES, Cause, Remedy, is_connection_lost, meaning_of
from sql.session.passing_errors import LOCK_MISSED, OF_SERVER, PASSING, WHEN_LOCK_MISSED
from workers.execution.verdict import judge

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGES = ("replank", "sql", "monitoring", "producer", "workers", "demo")
ONE_PLACE = Path("sql/session/passing_errors.py")

ASKED = {
    "InvalidParameterValue": "a setting or a snapshot that this server does not have",
    "UndefinedObject": "a setting or a snapshot that this server does not have",
    "CantChangeRuntimeParam": "a setting that this role may not set",
    "ReadOnlySqlTransaction": "a standby: the check leaves out what it would write",
    "DependentObjectsStillExist": "what others depend on is named to the operator, not dropped",
    "InvalidSchemaName": "there is no ledger",
    "SyntaxError": "the server's own parser says whether a text is SQL",
    "AmbiguousFunction": "a query that the plan's new types change",
    "DatatypeMismatch": "a query that the plan's new types change",
    "UndefinedFunction": "a query that the plan's new types change",
    "CannotCoerce": "the server says whether a text is a value",
    "ObjectNotInPrerequisiteState": "an extension or a setting that is not switched on",
    "UnsafeNewEnumValueUsage": "the trial is in one transaction, the run is not",
    "StringDataRightTruncation": "the words name rows that are too long",
}
"""Classes that are caught because the answer to a question is no; none of them passes by itself."""

FAMILIES = {
    "Error": "whatever the driver raises",
    "DatabaseError": "whatever the server refuses",
    "OperationalError": "a lost session, others, or the machine: whoever has the session decides",
    "DataError": "rows: OF_ROWS",
    "IntegrityError": "rows: OF_ROWS",
    "ProgrammingError": "a statement or URL that cannot be read",
    "InternalError": "a function that cannot be evaluated",
}
"""Base classes, which have no SQLSTATE."""

ENDED_AT_COMMIT = ["sql/swap/swap_under_lock.py"]
"""Where the server ends a session by a timeout at its COMMIT, the outcome is unknown, and nothing may be done again."""

DRIVER = ("psycopg", "errors")


@cache
def _code() -> list[tuple[Path, list[ast.AST]]]:
    """All nodes of each file."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return [(file.relative_to(ROOT), list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))) for file in files]


def _last(module: ast.expr) -> str:
    """The last name of `errors` or `psycopg.errors`."""
    return module.attr if isinstance(module, ast.Attribute) else module.id if isinstance(module, ast.Name) else ""


def _named() -> Iterator[tuple[str, type[psycopg.Error]]]:
    """Every mention of one of the driver's classes of errors, by its place."""
    for file, nodes in _code():
        direct = {
            alias.name
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module == "psycopg.errors"
            for alias in node.names
        }
        for node in nodes:
            name = ""
            if isinstance(node, ast.Attribute) and _last(node.value) in DRIVER:
                name = node.attr
            elif isinstance(node, ast.Name) and node.id in direct:
                name = node.id
            found = getattr(errors, name, None)
            if isinstance(found, type) and issubclass(found, psycopg.Error):
                yield f"{file} {name}", found


def test_every_class_of_errors_that_the_code_names_stands_in_the_table_or_here() -> None:
    named = list(_named())
    assert len(named) > 100
    unknown = {
        place
        for place, found in named
        if found.sqlstate not in STATES and found.__name__ not in (ASKED if found.sqlstate else FAMILIES)
    }
    assert unknown == set()
    assert {*ASKED, *FAMILIES} - {found.__name__ for _, found in named} == set(), "nobody names these any more"


def test_nobody_else_lists_errors_that_pass() -> None:
    """Two of them side by side are a list of what passes; one alone is a question of its own."""
    passing = {errors.lookup(state).__name__ for state, meant in STATES.items() if meant.remedy is not Remedy.FAIL}
    lists = [
        str(file)
        for file, nodes in _code()
        for node in nodes
        if file != ONE_PLACE and isinstance(node, ast.Tuple | ast.Set | ast.List | ast.BinOp)
        if len({part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)} & passing) > 1
    ]
    assert lists == ENDED_AT_COMMIT


@pytest.mark.parametrize("state", STATES)
def test_the_driver_knows_every_state_and_a_worker_does_what_the_table_says(state: str) -> None:
    error = errors.lookup(state)("x")
    meant, verdict = meaning_of(error), judge(error)
    assert meant == STATES[state]
    assert verdict.again == (meant.remedy is not Remedy.FAIL)
    assert verdict.stopped == (meant.cause is Cause.ENDED)
    assert is_connection_lost(error) == (meant.remedy is Remedy.RECONNECT)
    assert not (meant.remedy is Remedy.FAIL and isinstance(error, PASSING))


def test_what_has_no_state_is_a_lost_connection_or_the_drivers_own() -> None:
    assert is_connection_lost(psycopg.OperationalError("server closed the connection unexpectedly"))
    assert is_connection_lost(errors.ConnectionFailure("x"))
    assert not is_connection_lost(psycopg.InterfaceError("x"))
    assert not is_connection_lost(errors.QueryCanceled("x"))
    assert not judge(errors.lookup("F0000")("x")).again


def test_groups_for_except_come_from_the_table() -> None:
    assert set(LOCK_MISSED) == {errors.LockNotAvailable, errors.DeadlockDetected}
    assert set(PASSING) == {*LOCK_MISSED, errors.QueryCanceled, errors.SerializationFailure}
    assert set(OF_SERVER) == {errors.OutOfMemory, errors.DiskFull, errors.ConfigurationLimitExceeded}
    assert WHEN_LOCK_MISSED.split(" OR ") == ["deadlock_detected", "lock_not_available"]
