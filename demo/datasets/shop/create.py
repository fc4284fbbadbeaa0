"""Creates the shop as its developers do, by its history, and fills it, set-based."""

from importlib.resources import files

import psycopg

from demo.datasets.filling import count_rows, fill, portions
from demo.datasets.shop.project import alembic

# Which part of all rows a table gets, in thousandths.
_PER_MILLE: dict[str, int] = {
    "order_lines": 440,
    "orders": 190,
    "events": 150,
    "shipments": 110,
    "customers": 40,
    "addresses": 20,
    "product_tags": 20,
    "products": 14,
    "users": 6,
    "api_keys": 4,
    "shelves": 3,
    "warehouses": 1,
    "tenants": 1,
    "tags": 1,
    "carriers": 1,
}


def create_shop(url: str, *, rows: int) -> dict[str, int]:
    """Upgrade the empty database at `url` to the history's head, and fill it with about `rows` rows in total.

    Returns "schema.table" -> rows, counted. Raises AlembicFailed.
    """
    alembic(url, "upgrade", "head")
    with psycopg.connect(url) as connection:
        fill(connection, (files("demo.datasets.shop") / "rows.sql").read_bytes(), portions(rows, _PER_MILLE))
        filled = count_rows(connection, ("public",))
    with psycopg.connect(url, autocommit=True) as connection:
        # VACUUM too: the visibility map is set as in a database that has lived for a while.
        connection.execute("VACUUM (ANALYZE)")
    # Alembic's own row is none of the shop's.
    del filled["public.alembic_version"]
    return filled
