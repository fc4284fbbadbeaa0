"""Step 04: a cache of permissions, and triggers that make its entries stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import errors, sql

from replank.errors import WrongUse
from replank.mappings_plan import MappingsPlan
from replank.steps_plan import PermissionCachePlan
from sql import scripts
from sql.connection import Connection, apply_settings, run
from sql.relations import NamedTable, looked_up, read_relations, schema_exists, taken_names

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
        mistakes += [f"there is no table {name}" for name in unknown]
        for table in found:
            if source.user is not None and source.user not in table.columns:
                mistakes.append(f"table {table.full_name} has no column {source.user}")
            sources.append(_source(number, table, source.user, mappings))
    taken = sorted(OURS & taken_names(connection, plan.table_schema))
    if taken:
        mistakes.append(f"schema {plan.table_schema} has {', '.join(taken)} already; name another schema")
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
        "schema": scripts.name(plan.table_schema),
        "schema_text": scripts.text(scripts.name(plan.table_schema)),
        "schema_is_ours": scripts.as_written(str(schema_is_ours).lower()),
        "expires_after": scripts.text(plan.expires_after),
        "query": scripts.as_written(plan.query.strip().rstrip(";")),
        "sources": sources,
    }


def _source(number: int, table: NamedTable, user: str | None, mappings: MappingsPlan | None) -> Mapping[str, Any]:
    full = scripts.name(table.schema, table.name)
    return {
        "said": scripts.as_written(table.full_name.replace("\n", " ")),
        "name": full,
        "regclass_text": scripts.text(full),
        "user": _user_of_row(table, user, mappings) if user else None,
        "function": scripts.name(f"stale_by_source_{number}"),
    }


def _user_of_row(table: NamedTable, column: str, mappings: MappingsPlan | None) -> scripts.Quoted:
    """The user of a row `r`, as text; by either name where step 07 gives the column another one."""
    after = column if mappings is None else mappings.column_to(table.schema, table.name, column)
    if after == column:
        return scripts.as_written(f"r.{scripts.name(column)}::text")
    found = (f"to_jsonb(r.*) ->> {scripts.text(name)}" for name in (after, column))
    return scripts.as_written(f"coalesce({', '.join(found)})")


def _query_mistakes(connection: Connection, query: str) -> list[str]:
    """Whether the query runs and gives its four columns; nothing of it is read."""
    probe = sql.SQL("SELECT {} FROM ({}) AS q LIMIT 0").format(
        sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
        sql.SQL(query.strip().rstrip(";")),
    )
    try:
        with connection.transaction(force_rollback=True):
            apply_settings(connection, {"transaction_read_only": "on"}, local=True)
            run(connection, probe)
    except errors.OperationalError:
        raise
    except errors.DatabaseError as error:
        return [f"its query does not give {', '.join(COLUMNS)}: {error.diag.message_primary}"]
    return []
