"""One server, one run to its end; each test gets a copy of its database."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo.embedded import EmbeddedPostgres
from monitoring.report.criteria import judge
from monitoring.report.facts import Given
from monitoring.report.verdict import Criterion
from producer.cli.report import compared_now, gather
from report.world import begin_run, create_world, plan_for, run_to_the_end
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection, connect

_numbers = itertools.count(1)


def _settings() -> dict[str, str]:
    """The library that keeps statements, where the server has it: some wheels come without."""
    named = os.environ.get("REPLANK_POSTGRES_BIN")
    there = named is None or any((Path(named).resolve().parent / "lib").rglob("pg_stat_statements.so"))
    return {"shared_preload_libraries": "pg_stat_statements"} if there else {}


@pytest.fixture(scope="package")
def postgres() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(durable=False, settings=_settings()) as server:
        yield server


@pytest.fixture(scope="package")
def done(postgres: EmbeddedPostgres) -> str:
    """The name of a database whose run is done. Copies are made of it; nobody writes to it."""
    url = postgres.create_database("done")
    create_world(url)
    begin_run(url, plan_for("done"))
    run_to_the_end(url)
    return "done"


@pytest.fixture
def database(postgres: EmbeddedPostgres, done: str) -> Iterator[str]:
    """The URL of a copy."""
    name = f"report_{next(_numbers)}"
    yield postgres.create_database(name, template=done)
    postgres.drop_database(name)


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    name = f"report_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def app(database: str) -> Iterator[psycopg.Connection]:
    """The application's session, in autocommit."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """Replank's own session."""
    with connect(database, name="report") as found:
        yield found


def the_run(connection: Connection) -> Run:
    run = runs.latest_run(connection)
    assert run is not None
    return run


Criteria = Callable[..., list[Criterion]]


@pytest.fixture
def criteria(connection: Connection) -> Criteria:
    """The six criteria of the copy as it is now; `compare` also compares every row."""

    def judged(*, compare: bool = False, **given: Any) -> list[Criterion]:
        run = the_run(connection)
        compared = compared_now(connection, run) if compare else ()
        return list(judge(gather(connection, run, Given(compared=compared, **given))).criteria)

    return judged
