"""One server for all protocol tests, a fresh database for each."""

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest

from demo.embedded import EmbeddedPostgres

from .harness import Rebuild, Table, Url

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server of these tests' own."""
    with EmbeddedPostgres(durable=False) as server:
        yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[Url]:
    """The URL of an empty database."""
    name = f"protocol_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def app(database: Url) -> Iterator[psycopg.Connection]:
    """The application's first session, in autocommit."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def other(database: Url) -> Iterator[psycopg.Connection]:
    """Another session of the application; its transactions stay open until it says otherwise."""
    with psycopg.connect(database) as connection:
        yield connection


@pytest.fixture
def begin(database: Url) -> Iterator[Callable[..., Rebuild]]:
    """Begins runs and closes what they hold."""
    begun: list[Rebuild] = []

    def start(*tables: Table, **options: int) -> Rebuild:
        begun.append(Rebuild.begin(database, tables, options))
        return begun[-1]

    yield start
    for rebuild in begun:
        rebuild.close()
