"""Creates the shop and fills it, set-based: about a million rows in well under half a minute."""

import re
from importlib.resources import files

import psycopg
from psycopg.sql import SQL, Identifier

# Which part of all rows a table gets, in thousandths. Three tables hold most, as in most databases.
_PER_MILLE: dict[str, int] = {
    "order_items": 420,
    "events": 200,
    "orders": 180,
    "order_tags": 60,
    "invoices": 40,
    "users": 32,
    "payments": 30,
    "products": 15,
    "redemptions": 10,
    "price_rules": 6,
    "tenants": 3,
    "categories": 2,
    "suppliers": 1,
    "tags": 1,
}

# Fewer rows than this make a table's foreign keys trivial (every child the same parent).
_LEAST_ROWS = 20


def create_shop(url: str, *, rows: int) -> dict[str, int]:
    """Create the shop in the empty database at `url` and fill it with about `rows` rows in total.

    Returns "schema.table" -> rows, counted. The same `rows` gives the same content. All is one
    transaction: a failure leaves the database empty. Raises psycopg.errors.DuplicateSchema or
    DuplicateTable when the shop is there already.
    """
    counts = {name: max(_LEAST_ROWS, rows * part // 1000) for name, part in _PER_MILLE.items()}
    with psycopg.connect(url) as connection:
        # The text of ids that the server makes must not depend on the role's own settings.
        connection.execute("SET LOCAL search_path = public")
        connection.execute(_read("tables.sql"))
        for statement in _named_blocks(_read("rows.sql")).values():
            connection.execute(statement, counts if b"%(" in statement else None)
        connection.execute(_read("constraints.sql"))
        filled = _count_rows(connection)
    with psycopg.connect(url, autocommit=True) as connection:
        # VACUUM too: the visibility map is set as in a database that has lived for a while.
        connection.execute("VACUUM (ANALYZE)")
    return filled


def _count_rows(connection: psycopg.Connection) -> dict[str, int]:
    tables = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'billing') ORDER BY 1, 2"
    ).fetchall()
    counted: dict[str, int] = {}
    for schema, table in tables:
        query = SQL("SELECT count(*) FROM {}").format(Identifier(schema, table))
        (number,) = connection.execute(query).fetchone() or (0,)
        counted[f"{schema}.{table}"] = number
    return counted


def _named_blocks(text: bytes) -> dict[str, bytes]:
    """name -> statement, in the file's order; a block begins with a line `-- name: ...`."""
    parts = re.split(rb"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return {name.decode(): body for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _read(name: str) -> bytes:
    return (files("demo.datasets.shop") / name).read_bytes()
