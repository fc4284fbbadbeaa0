"""The live database is told that it has the plan's revision: the run has made what the revision makes elsewhere."""

from __future__ import annotations

from producer.alembic.revision import Revision
from replank.errors import WrongUse
from replank.plan.text.plan_words import split_name
from sql.catalogue.alembic import move_version, present_versions
from sql.session.connection import Connection


def is_stamped(connection: Connection, revision: Revision, version_table: str) -> bool:
    """Whether the database has the revision already.

    Raises WrongUse where Alembic keeps no version there, or the database is at another revision than the one before.
    """
    present = present_versions(connection, *split_name(version_table))
    if present is None:
        raise WrongUse(
            f"There is no table {version_table}: Alembic keeps no version here, so there is nothing to stamp. "
            "Name it with --version-table, as env.py calls it."
        )
    if revision.revision in present or revision.descendants & set(present):
        return True
    if present != [] if revision.follows is None else revision.follows not in present:
        before = revision.follows or "none"
        raise WrongUse(
            f"The database is at {', '.join(present) or 'no revision'}, and the revision before "
            f"{revision.revision} is {before}. Bring it there with `alembic upgrade`, then stamp it with --apply."
        )
    return False


def stamp(connection: Connection, revision: Revision, version_table: str) -> None:
    """Move Alembic's version to the revision. Raises WrongUse where another session has moved it meanwhile."""
    if not move_version(connection, *split_name(version_table), revision.follows, revision.revision):
        raise WrongUse(
            "Alembic's version has just changed: another session upgrades this database. Look, and try again."
        )
