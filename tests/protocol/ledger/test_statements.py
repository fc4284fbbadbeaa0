"""Every typed statement of the ledger is one that PostgreSQL understands, also those of paths that are rarely taken.

The server parses and plans each on a ledger as it is made today. Nothing is run.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from support.servers.shared import new_database

import sql.ledger
from demo.embedded import EmbeddedPostgres
from sql.ledger.schema.run_tables import EVENT, RUN
from sql.ledger.upgrades.ledger import ensure_ledger
from sql.session.connection import Connection, connect
from sql.session.typed_queries import Command, Query, TypedStatement, given

pytestmark = pytest.mark.protocol

BY_ALEMBIC = "sql.ledger.upgrades.env"
"""Alembic runs it; it cannot be imported."""

PARAMETER = re.compile(r"%\((\w+)\)s|%%")


@dataclass(frozen=True, kw_only=True)
class _State:
    """A value whose only column is a run's state, as negative controls want it."""

    state: str


def statements() -> dict[str, TypedStatement]:
    """Every statement of the ledger by the name of its module and its own."""
    found: dict[str, TypedStatement] = {}
    known: set[int] = set()
    for module in pkgutil.walk_packages(sql.ledger.__path__, "sql.ledger."):
        if module.name != BY_ALEMBIC:
            for name, value in vars(importlib.import_module(module.name)).items():
                for place, one in _held(value):
                    if id(one) not in known:
                        known.add(id(one))
                        found[f"{module.name}.{name}{place}"] = one
    return found


def _held(value: Any) -> Iterator[tuple[str, TypedStatement]]:
    """The statements that a constant of a module is, or holds."""
    if isinstance(value, TypedStatement):
        yield "", value
    elif isinstance(value, dict):
        yield from ((f"[{key}]{place}", one) for key, held in value.items() for place, one in _held(held))
    elif isinstance(value, (tuple, list)):
        yield from ((f"[{at}]{place}", one) for at, held in enumerate(value) for place, one in _held(held))


def numbered(statement: TypedStatement) -> tuple[str, int]:
    """The statement as the server knows it, with `$1` for the first of its parameters, and how many it has."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found.group(1)
        return "%" if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    return PARAMETER.sub(number, statement.text.as_string(None)), len(numbers)


def problem(connection: Connection, statement: TypedStatement) -> str:
    """What the server does not understand, or how the columns differ from the value's fields; empty if all is well."""
    words, parameters = numbered(statement)
    name = "statement"
    try:
        with connection.transaction(force_rollback=True):
            prepared = connection.pgconn.prepare(name.encode(), words.encode())
            if prepared.status != psycopg.pq.ExecStatus.COMMAND_OK:
                return prepared.error_message.decode().splitlines()[0]
            described = connection.pgconn.describe_prepared(name.encode())
            columns = [(described.fname(at) or b"").decode() for at in range(described.nfields)]
            # The planner finds what the parser does not: an ON CONFLICT without its index.
            nulls = SQL("({})").format(SQL(", ").join([SQL("NULL")] * parameters)) if parameters else SQL("")
            connection.execute(SQL("EXPLAIN EXECUTE {} {}").format(Identifier(name), nulls))
    except psycopg.Error as error:
        return str(error).splitlines()[0]
    finally:
        connection.execute("DEALLOCATE ALL")
    return _difference(statement, columns)


def _difference(statement: TypedStatement, columns: list[str]) -> str:
    """Between the columns that come and those that the value has."""
    if not isinstance(statement, Query):
        return ""
    twice = [name for name, times in Counter(columns).items() if times > 1]
    if twice:
        return f"columns of one name: {twice}"
    wanted = statement._names
    if wanted is None:
        return "" if len(columns) == 1 else f"one column was expected, and {columns} come"
    differ = sorted(wanted ^ set(columns))
    return f"columns and fields differ: {differ}" if differ else ""


@pytest.fixture(scope="module")
def on_ledger(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    """A session on a new ledger that plans as if it did not know what is given."""
    with new_database(postgres) as url, connect(url, name="test") as connection:
        ensure_ledger(connection)
        connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection


def test_the_server_understands_every_statement_and_its_columns_are_the_values_fields(on_ledger: Connection) -> None:
    found = statements()
    assert len(found) > 100
    problems = {name: said for name, one in found.items() if (said := problem(on_ledger, one))}
    assert problems == {}


def test_no_statement_is_made_where_this_cannot_find_it() -> None:
    """Each is made once, with its module: one that a function makes is compiled again with every call too."""
    made = Counter(name.rpartition("._")[0] for name in statements())
    for path in sorted(Path(sql.ledger.__path__[0]).rglob("*.py")):
        module = "sql.ledger." + ".".join(path.relative_to(sql.ledger.__path__[0]).with_suffix("").parts)
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        makers = [one for one in calls if isinstance(one.func, ast.Name) and one.func.id in ("Query", "Command")]
        assert made[module] == len(makers), module


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Command(text("UPDATE replank.run SET stat = 'done'")), '"stat" of relation "run" does not exist'),
        (Query(select(text("stat")).select_from(RUN), str), 'column "stat" does not exist'),
        (Query(select(RUN.c.state, RUN.c.reason), _State), "columns and fields differ: ['reason']"),
        (Query(select(RUN.c.reason), _State), "columns and fields differ: ['reason', 'state']"),
        (Query(select(RUN.c.state, RUN.c.reason), str), "one column was expected, and ['state', 'reason'] come"),
        (Query(select(RUN.c.state, EVENT.c.kind.label("state")), _State), "columns of one name: ['state']"),
        (Command(select(func.clock_time())), "function clock_time() does not exist"),
        (Command(select(RUN.c.run_id + given("kind", EVENT.c.kind.type))), "operator does not exist"),
        (
            Command(insert(EVENT).values(run_id=given("run_id")).on_conflict_do_nothing(index_elements=["kind"])),
            "no unique or exclusion constraint",
        ),
    ],
)
def test_a_wrong_name_is_found_without_running_the_statement(
    on_ledger: Connection, wrong: TypedStatement, said: str
) -> None:
    assert said in problem(on_ledger, wrong)


def test_a_statement_that_is_understood_has_changed_nothing(on_ledger: Connection) -> None:
    taken = Command(text("DELETE FROM replank.alembic_version"))
    assert problem(on_ledger, taken) == ""
    assert on_ledger.execute("SELECT count(*) FROM replank.alembic_version").fetchone() == (1,)
