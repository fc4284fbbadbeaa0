"""Creates the market and fills it, set-based: about a million rows in well under half a minute."""

from importlib.resources import files

import psycopg

from demo.datasets.filling import count_rows, fill, portions

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


def create_market(url: str, *, rows: int) -> dict[str, int]:
    """Create the market in the empty database at `url` and fill it with about `rows` rows in total.

    Returns "schema.table" -> rows, counted. The same `rows` gives the same content. All is one
    transaction: a failure leaves the database empty. Raises psycopg.errors.DuplicateSchema or
    DuplicateTable when the market is there already.
    """
    with psycopg.connect(url) as connection:
        # The text of ids that the server makes must not depend on the role's own settings.
        connection.execute("SET LOCAL search_path = public")
        connection.execute(_read("tables.sql"))
        fill(connection, _read("rows.sql"), portions(rows, _PER_MILLE))
        connection.execute(_read("constraints.sql"))
        filled = count_rows(connection, ("public", "billing"))
    with psycopg.connect(url, autocommit=True) as connection:
        # VACUUM too: the visibility map is set as in a database that has lived for a while.
        connection.execute("VACUUM (ANALYZE)")
    return filled


def _read(name: str) -> bytes:
    return (files("demo.datasets.market") / name).read_bytes()
