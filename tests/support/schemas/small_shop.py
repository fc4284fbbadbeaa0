"""Two tables that a foreign key joins: as little as a whole run can be made of, in several chunks."""

import uuid
from pathlib import Path

import psycopg

from support.schemas.uuid_columns import uuid_differences, write_uuid_plan

COLUMNS = {"customers": ("id",), "orders": ("id", "customer_id")}
_IN_PUBLIC = {("public", table): columns for table, columns in COLUMNS.items()}

_TABLES = """
CREATE TABLE customers (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (
    id text PRIMARY KEY DEFAULT (gen_random_uuid())::text,
    customer_id text NOT NULL REFERENCES customers ON UPDATE CASCADE,
    number integer NOT NULL UNIQUE,
    note text
);
CREATE INDEX ON orders (customer_id);
"""


def create_small_shop(url: str, *, orders: int) -> None:
    """Create and fill it: `orders` rows of about 250 bytes, their keys scattered over the heap."""
    with psycopg.connect(url) as connection:
        connection.execute(_TABLES)
        connection.execute(
            "INSERT INTO customers SELECT md5('c' || n)::uuid::text, 'Customer ' || n FROM generate_series(1, 200) AS n"
        )
        connection.execute(
            "INSERT INTO orders SELECT md5('o' || n)::uuid::text, md5('c' || 1 + n %% 200)::uuid::text, n,"
            " repeat('x', 150) FROM generate_series(1, %s) AS n",
            [orders],
        )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")


def write_plan(path: Path, *, database: str, chunk_mb: int | None = 1, extra: str = "") -> Path:
    """A plan for both tables; `extra` is appended as it is."""
    options = "" if chunk_mb is None else f"[options]\nchunk_mb = {chunk_mb}"
    write_uuid_plan(path, _IN_PUBLIC, database=database, options=options, of_each='axis = "heap"')
    with path.open("a", encoding="utf-8") as file:
        file.write(extra)
    return path


def differences(url: str) -> list[str]:
    """Every difference between past (cast) and live, and every foreign key that does not hold."""
    return uuid_differences(url, _IN_PUBLIC)


def add_order(url: str, *, number: int) -> str:
    """One order more, as an application would write it. Returns its id."""
    order = str(uuid.uuid4())
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO orders (id, customer_id, number) SELECT %s, id, %s FROM customers ORDER BY id LIMIT 1",
            [order, number],
        )
    return order
