"""A fresh small database and a run for each."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from support.runs.harness import Rebuild, table

TABLES = """
CREATE TABLE customers (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id text PRIMARY KEY, customer_id text NOT NULL REFERENCES customers, number int UNIQUE, note text);
INSERT INTO customers SELECT md5('c' || n)::uuid::text, 'Customer ' || n FROM generate_series(1, 20) AS n;
INSERT INTO orders SELECT md5('o' || n)::uuid::text, md5('c' || 1 + n % 20)::uuid::text, n, repeat('x', 200)
  FROM generate_series(1, 300) AS n;
ANALYZE;
"""


@pytest.fixture
def database(database: str) -> str:
    """The URL of a database with two tables that a foreign key joins."""
    with psycopg.connect(database) as connection:
        connection.execute(TABLES)
    return database


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
