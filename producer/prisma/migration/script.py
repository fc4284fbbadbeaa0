"""Prisma's migration.sql: the statements of the history, below lines that say what they are."""

from __future__ import annotations

from collections.abc import Iterable

from producer.history.changes.changes import Change
from producer.history.migration.migration import migration_statements
from producer.history.migration.notes import notes_of
from replank.plan.plan import Plan
from sql.session.connection import Connection

HEAD = """\
-- Written by `replank prisma`: what its plan changed, as one offline migration.
-- The live database was migrated by Replank and has this recorded as applied (see baseline.sql): it never runs there.
"""
OF_CACHE = "Prisma does not look there."


def migration_script(connection: Connection, plan: Plan, default_schema: str, changes: Iterable[Change] = ()) -> str:
    """The whole file. `changes` are those of the schema file. Raises WrongUse as `migration_statements` does."""
    statements = migration_statements(connection, plan, default_schema, changes)
    notes = "".join(f"-- {note}\n" for note in notes_of(plan, OF_CACHE))
    return HEAD + notes + "".join(f"\n{statement};\n" for statement in statements)
