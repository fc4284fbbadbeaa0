"""Creates the platform, as Prisma's engine makes it of schema.prisma, and fills it."""

from __future__ import annotations

from importlib.resources import files

import psycopg

from demo.datasets.platform.fill import fill


def read_schema_file() -> str:
    """The platform's schema.prisma."""
    return (files("demo.datasets.platform") / "schema.prisma").read_text(encoding="utf-8")


def read_script() -> str:
    """What the engine makes of it, as SQL."""
    return (files("demo.datasets.platform") / "schema.sql").read_text(encoding="utf-8")


def create_platform(url: str, *, rows: int) -> dict[str, int]:
    """Create the platform in the empty database at `url` and fill it with about `rows` rows in total.

    Returns table -> rows. The same `rows` gives the same content.
    """
    create_tables(url)
    with psycopg.connect(url) as connection:
        filled = fill(connection, rows=rows)
    with psycopg.connect(url, autocommit=True) as connection:
        # The visibility map is set as in a database that has lived for a while.
        connection.execute("VACUUM (ANALYZE)")
    return filled


def create_tables(url: str) -> None:
    """Create all tables in the empty database at `url`, in one transaction."""
    with psycopg.connect(url) as connection:
        connection.execute("SET LOCAL search_path = public")
        connection.execute(read_script().encode())
