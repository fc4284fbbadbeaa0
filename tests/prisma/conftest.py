"""One server and one broker for all tests of Prisma's, a fresh database for each."""

import itertools
from collections.abc import Iterator

import pytest

from demo.embedded import EmbeddedPostgres, EmbeddedValkey

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server of these tests' own."""
    with EmbeddedPostgres(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"prisma_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)
