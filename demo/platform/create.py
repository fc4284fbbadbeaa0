"""The platform's empty database, as Prisma's engine makes it of schema.prisma."""

from __future__ import annotations

from importlib.resources import files

import psycopg


def read_schema_file() -> str:
    """The platform's schema.prisma."""
    return (files("demo.platform") / "schema.prisma").read_text(encoding="utf-8")


def read_script() -> str:
    """What the engine makes of it, as SQL."""
    return (files("demo.platform") / "schema.sql").read_text(encoding="utf-8")


def create_platform(url: str) -> None:
    """Create all tables in the empty database at `url`, in one transaction."""
    with psycopg.connect(url) as connection:
        connection.execute("SET LOCAL search_path = public")
        connection.execute(read_script().encode())
