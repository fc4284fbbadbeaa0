"""Step 04: a cache of permissions, and triggers that make its entries stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import errors
from psycopg.sql import SQL, Identifier

from replank.errors import WrongUse
from replank.plan.steps.mappings_plan import MappingsPlan
from replank.plan.steps.steps_plan import PermissionCachePlan
from sql.catalogue.relations import NamedTable, looked_up, read_relations, schema_exists, taken_names
from sql.scripts import script_templates
from sql.session.connection import Connection, apply_settings, run

COLUMNS = ("user_id", "tenant_id", "permissions", "roles")
OURS = frozenset({"cache", "invalidation", "warm_up", "use", "configuration"})

TRIGGER = "replank_permission_insert"
"""Every source has it."""


def facts(connection: Connection, plan: PermissionCachePlan, mappings: MappingsPlan | None = None) -> Mapping[str, Any]:
    """What the templates of step 04 need. Raises WrongUse where the query or a source does not fit."""
    tables = read_relations(connection)
    mistakes = _query_mistakes(connection, plan.query)
    sources: list[Mapping[str, Any]] = []
    for number, source in enumerate(plan.sources, start=1):
        found, unknown = looked_up(tables, [source.table])
        mistakes += [f"table {name} does not exist" for name in unknown]
        for table in found:
            if source.user is not None and source.user not in table.columns:
                mistakes.append(f"table {table.full_name} has no column {source.user}")
            sources.append(_source(number, table, source.user, mappings))
    taken = sorted(OURS & taken_names(connection, plan.table_schema))
    if taken:
        mistakes.append(f"schema {plan.table_schema} has {', '.join(taken)} already. Name another schema")
    if mistakes:
        raise WrongUse("steps.permission_cache: " + "; ".join(mistakes))
    return _facts(plan, sources, schema_is_ours=not schema_exists(connection, plan.table_schema))


def facts_anywhere(connection: Connection, plan: PermissionCachePlan) -> Mapping[str, Any]:
    """The same for a database that may have it already; tables and columns in the names of now, nothing is judged."""
    tables = read_relations(connection)
    sources = [
        _source(number, table, source.user, None)
        for number, source in enumerate(plan.sources, start=1)
        for table in looked_up(tables, [source.table])[0]
    ]
    return _facts(plan, sources, schema_is_ours=True)


def _facts(
    plan: PermissionCachePlan, sources: Sequence[Mapping[str, Any]], *, schema_is_ours: bool
) -> Mapping[str, Any]:
    return {
        "schema": script_templates.name(plan.table_schema),
        "schema_text": script_templates.text(script_templates.name(plan.table_schema)),
        "schema_is_ours": script_templates.as_written(str(schema_is_ours).lower()),
        "expires_after": script_templates.text(plan.expires_after),
        "query": script_templates.as_written(plan.query.strip().rstrip(";")),
        "sources": sources,
    }


def _source(number: int, table: NamedTable, user: str | None, mappings: MappingsPlan | None) -> Mapping[str, Any]:
    full = script_templates.name(table.schema, table.name)
    return {
        "said": script_templates.as_written(table.full_name.replace("\n", " ")),
        "name": full,
        "regclass_text": script_templates.text(full),
        "user": _user_of_row(table, user, mappings) if user else None,
        "function": script_templates.name(f"stale_by_source_{number}"),
    }


def _user_of_row(table: NamedTable, column: str, mappings: MappingsPlan | None) -> script_templates.Quoted:
    """The user of a row `r`, as text; by either name where step 07 gives the column another one."""
    after = column if mappings is None else mappings.column_to(table.schema, table.name, column)
    if after == column:
        return script_templates.as_written(f"r.{script_templates.name(column)}::text")
    found = (f"to_jsonb(r.*) ->> {script_templates.text(name)}" for name in (after, column))
    return script_templates.as_written(f"coalesce({', '.join(found)})")


def _query_mistakes(connection: Connection, query: str) -> list[str]:
    """Whether the query runs and gives its four columns; nothing of it is read."""
    probe = SQL("SELECT {} FROM ({}) AS q LIMIT 0").format(
        SQL(", ").join(map(Identifier, COLUMNS)),
        SQL(query.strip().rstrip(";")),
    )
    try:
        with connection.transaction(force_rollback=True):
            apply_settings(connection, {"transaction_read_only": "on"}, local=True)
            run(connection, probe)
    except errors.OperationalError:
        raise
    except errors.DatabaseError as error:
        return [f"its query does not return {', '.join(COLUMNS)}: {error.diag.message_primary}"]
    return []
