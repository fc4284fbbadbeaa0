"""Alembic's own table in the user's database: which revisions it has."""

from __future__ import annotations

from psycopg.sql import SQL, Identifier, Literal

from sql.session.connection import Connection, rows, run, value

VERSION_TABLE = "alembic_version"


def present_versions(connection: Connection, schema: str, table: str) -> list[str] | None:
    """The revisions that the database is at, several where it has branches; None without the table."""
    named = Identifier(schema, table)
    asked = SQL("SELECT to_regclass({}) IS NOT NULL").format(Literal(named.as_string(connection)))
    if not value(connection, asked):
        return None
    found = rows(connection, SQL("SELECT version_num FROM {} ORDER BY version_num").format(named))
    return [str(row["version_num"]) for row in found]


def move_version(connection: Connection, schema: str, table: str, before: str | None, after: str) -> bool:
    """From one revision to the one that follows it. False where the database is not at `before` any more."""
    named = Identifier(schema, table)
    if before is None:
        first = SQL("INSERT INTO {0} (version_num) SELECT {1} WHERE NOT EXISTS (SELECT FROM {0})")
        return run(connection, first.format(named, Literal(after))).rowcount == 1
    moved = SQL("UPDATE {} SET version_num = {} WHERE version_num = {}")
    return run(connection, moved.format(named, Literal(after), Literal(before))).rowcount == 1
