"""The schema of a real platform: the migrations that ship in the package ``litellm_proxy_extras``."""

from importlib import resources
from importlib.resources.abc import Traversable

import psycopg

_PACKAGE = "litellm_proxy_extras"


def migration_files() -> list[Traversable]:
    """Every ``migration.sql`` of the installed package, in the order of their folders' names."""
    folder = resources.files(_PACKAGE).joinpath("migrations")
    found = [entry.joinpath("migration.sql") for entry in folder.iterdir() if entry.is_dir()]
    return sorted((file for file in found if file.is_file()), key=str)


def apply_migrations(url: str) -> int:
    """Apply all migrations to the empty database at ``url``; returns how many there were.

    A query without parameters goes over the simple query protocol: a file of several statements is then
    one implicit transaction, and a file that holds nothing but one CREATE INDEX CONCURRENTLY runs outside
    a transaction block. Prisma applies these files in the same way, so no statement is ever split here.

    Raises ``psycopg.Error`` when a migration fails, with a note that names its file.
    """
    files = migration_files()
    with psycopg.connect(url, autocommit=True, options="-c client_min_messages=warning") as connection:
        for file in files:
            try:
                connection.execute(file.read_bytes())
            except psycopg.Error as error:
                error.add_note(f"while applying {file}")
                raise
    return len(files)
