"""One run to its end; each test gets a copy of its database."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.servers.shared import new_database, template

from demo.embedded import EmbeddedPostgres
from monitoring.report.criteria import judge
from monitoring.report.facts import Given
from monitoring.report.verdict import Criterion
from producer.cli.report import compared_now, gather
from report.world import begin_run, create_world, plan_for, run_to_the_end
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection, connect


def _run_there(url: str) -> None:
    create_world(url)
    begin_run(url, plan_for("done"))
    run_to_the_end(url)


@pytest.fixture(scope="package")
def done(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database whose run is done. Copies are made of it; nobody writes to it."""
    with template(postgres, "done", _run_there) as name:
        yield name


@pytest.fixture
def database(postgres: EmbeddedPostgres, done: str) -> Iterator[str]:
    """The URL of a copy."""
    with new_database(postgres, template=done) as url:
        yield url


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    with new_database(postgres) as url:
        yield url


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
