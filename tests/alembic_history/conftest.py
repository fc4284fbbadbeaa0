"""One server for these tests, and one run of the depot's plan that most of them look at."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from alembic_history.depot_run import Depot, run_depot
from demo.embedded import EmbeddedPostgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(durable=False) as server:
        yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"alembic_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Depot:
    """The depot after its run and after `replank alembic --apply`; `before` is what was said before the run."""
    return run_depot(postgres.create_database("depot"), tmp_path_factory.mktemp("depot"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
