"""One PostgreSQL for these tests, a fresh small database and a run for each."""

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest
from support.runs.harness import Rebuild, table

from demo.embedded import EmbeddedPostgres

_numbers = itertools.count(1)

TABLES = """
CREATE TABLE customers (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id text PRIMARY KEY, customer_id text NOT NULL REFERENCES customers, number int UNIQUE, note text);
INSERT INTO customers SELECT md5('c' || n)::uuid::text, 'Customer ' || n FROM generate_series(1, 20) AS n;
INSERT INTO orders SELECT md5('o' || n)::uuid::text, md5('c' || 1 + n % 20)::uuid::text, n, repeat('x', 200)
  FROM generate_series(1, 300) AS n;
ANALYZE;
"""


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(durable=False) as server:
        yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database with two tables that a foreign key joins."""
    name = f"metrics_{next(_numbers)}"
    url = postgres.create_database(name)
    with psycopg.connect(url) as connection:
        connection.execute(TABLES)
    yield url
    postgres.drop_database(name)


@pytest.fixture
def app(database: str) -> Iterator[psycopg.Connection]:
    """The application's session, in autocommit."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def begin(database: str) -> Iterator[Callable[[], Rebuild]]:
    """Begins the run of both tables and closes what it holds."""
    begun: list[Rebuild] = []

    def start() -> Rebuild:
        wanted = [table("customers", "id"), table("orders", "id", "customer_id")]
        begun.append(Rebuild.begin(database, wanted, {"max_jobs_in_flight": 16}))
        return begun[-1]

    yield start
    for rebuild in begun:
        rebuild.close()
