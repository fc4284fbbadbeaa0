"""Django's own table in the user's database: which migrations it has."""

from __future__ import annotations

from psycopg.sql import SQL, Identifier, Literal

from sql.session.connection import Connection, rows, run, value

TABLE = "django_migrations"


def applied_migrations(connection: Connection, schema: str) -> set[tuple[str, str]] | None:
    """App and name of each; None without the table."""
    named = Identifier(schema, TABLE)
    if not value(connection, SQL("SELECT to_regclass({}) IS NOT NULL").format(Literal(named.as_string(connection)))):
        return None
    return {
        (str(row["app"]), str(row["name"])) for row in rows(connection, SQL("SELECT app, name FROM {}").format(named))
    }


def record_migration(connection: Connection, schema: str, app: str, name: str) -> bool:
    """Say that the database has it. False if it knew."""
    said = SQL(
        "INSERT INTO {0} (app, name, applied) SELECT {1}, {2}, now()"
        " WHERE NOT EXISTS (SELECT FROM {0} WHERE app = {1} AND name = {2})"
    )
    named = said.format(Identifier(schema, TABLE), Literal(app), Literal(name))
    return run(connection, named).rowcount == 1
