"""Step 04 in the migration script: applications ask the cache of permissions, so copies must have it.

Prisma does not see its schema, and none of its functions and triggers. The audit log is left out: nobody reads it in
a copy, and a write goes through without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier

from producer.steps import permission_cache
from replank.errors import WrongUse
from replank.plan.steps.steps_plan import PermissionCachePlan
from replank.values.steps import STEPS
from sql.catalogue import prisma
from sql.scripts import script_templates
from sql.session.connection import Connection
from sql.session.table_names import server_text

CACHE_STEP = STEPS[3].name
VIEW = "computed"


@dataclass(frozen=True, kw_only=True)
class CacheStatements:
    """What the step does, cut where its view over the application's tables is made. `view` is that one's name."""

    tables: tuple[Composable, ...]
    view: tuple[str, str]
    definition: str
    functions: tuple[Composable, ...]

    @property
    def made_view(self) -> Composable:
        words = SQL("CREATE OR REPLACE VIEW {} AS\n{}")
        return words.format(Identifier(*self.view), server_text(self.definition))


def cache_statements(connection: Connection, plan: PermissionCachePlan | None) -> CacheStatements | None:
    """The plan in the names of now. Each statement may be done already. None where the plan has no cache.

    Raises WrongUse where the server does not understand its query.
    """
    if plan is None:
        return None
    blocks = script_templates.render(CACHE_STEP, permission_cache.facts_anywhere(connection, plan))
    made = f"CREATE OR REPLACE VIEW {script_templates.name(plan.table_schema)}.{VIEW} AS\n"
    at = next(n for n, block in enumerate(blocks) if made in block.sql)
    statements = tuple(server_text(block.sql.rstrip(";")) for block in blocks)
    return CacheStatements(
        tables=statements[:at],
        view=(plan.table_schema, VIEW),
        definition=_definition(connection, plan, blocks[at].sql.partition(made)[2]),
        functions=statements[at + 1 :],
    )


def _settled(connection: Connection, select: str) -> str:
    try:
        return prisma.normalized_view(connection, server_text(select.rstrip(";")))
    except errors.OperationalError:
        raise
    except errors.DatabaseError as error:
        words = error.diag.message_primary
        raise WrongUse(f"steps.permission_cache: the server does not understand its query: {words}") from None


def _definition(connection: Connection, plan: PermissionCachePlan, select: str) -> str:
    """The view's own, where it is there: its query has followed every change of the tables."""
    oid = prisma.view_oid(connection, plan.table_schema, VIEW)
    found = _settled(connection, select) if oid is None else prisma.view_definition(connection, oid)
    return found.strip().rstrip(";")
