"""The live database is told that it has the plan's migrations: the run has made what they make elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from producer.django.migrations import Migration
from replank.errors import WrongUse
from sql.catalogue.django import TABLE, applied_migrations, record_migration
from sql.session.connection import Connection


def not_recorded(connection: Connection, migrations: Sequence[Migration], schema: str) -> list[Migration]:
    """Those that the database is yet to be told of.

    Raises WrongUse where Django keeps no history there, or where a migration is missing that comes before.
    """
    applied = applied_migrations(connection, schema)
    if applied is None:
        raise WrongUse(
            f"There is no table {schema}.{TABLE}: Django keeps no history here, so there is nothing to record. "
            "Name its schema with --schema-name."
        )
    own = {migration.key for migration in migrations}
    missing = {before for migration in migrations for before in migration.follows} - own - applied
    if missing and not own <= applied:
        listed = ", ".join(f"{app}.{name}" for app, name in sorted(missing))
        raise WrongUse(
            f"The database does not have {listed}, which the plan's migration follows. Bring it there with "
            "`manage.py migrate`, then use --apply."
        )
    return [migration for migration in migrations if migration.key not in applied]


def record(connection: Connection, migrations: Sequence[Migration], schema: str) -> None:
    """All of them, or none."""
    with connection.transaction():
        for migration in migrations:
            record_migration(connection, schema, *migration.key)
