"""The plan's caches against the database, the environment and the Redis they name."""

from __future__ import annotations

import os
from collections.abc import Iterator

import redis
from psycopg import errors
from redis.exceptions import RedisError

from producer.check.findings import Finding, blocker, warning
from producer.planning.cache_resolution import cache_spec, live_table_named, swapped_names
from producer.planning.prepared_run import PreparedRun
from replank.addresses.cache_address import cache_address
from replank.errors import NeedsOperator, WrongUse
from replank.plan.tables.cache_plan import MaterializedViewPlan, PrewarmPlan, RedisPlan, TableCachePlan
from replank.values.cache_spec import CacheSpec
from sql.caches.cache_hits import find_relation, prewarm_schema
from sql.catalogue import fingerprints
from sql.catalogue.catalogue import LiveTable
from sql.catalogue.dependents import read_dependents
from sql.ledger.runs import runs
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.server_message import without_rows

PING_S = 5.0

CHANGED_BY_PLAN = (errors.UndefinedColumn, errors.UndefinedFunction, errors.DatatypeMismatch, errors.AmbiguousFunction)
"""What a query that is meant for the new tables may fail with on the old ones."""


def audit_caches(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """All that can be said without building anything."""
    open_run = runs.open_run(connection)
    found: list[Finding] = []
    for cache in audited.file.plan.caches:
        match cache:
            case TableCachePlan():
                found += _table(connection, audited, cache, run_open=open_run is not None)
            case MaterializedViewPlan():
                found += _view(connection, cache)
            case PrewarmPlan():
                found += _prewarm(connection, audited, cache)
            case RedisPlan():
                found += _redis(cache)
    return found


def _table(connection: Connection, audited: PreparedRun, plan: TableCachePlan, *, run_open: bool) -> Iterator[Finding]:
    live = live_table_named(connection, plan.table_schema, plan.name)
    if live is None:
        return
    yield from _may_not(connection, audited, plan, live)
    if live.partitioned or live.is_partition:
        yield blocker(
            "cache_partitioned",
            "this version rebuilds no partitioned table or partition as a cache",
            hint="Remove it from the caches, or make it an ordinary table.",
            table=plan.full_name,
        )
        return
    rebuilt = is_rebuilt(audited, plan)
    try:
        with connection.transaction():
            spec = cache_spec(connection, plan, run_id=0, cache_no=0, rebuilt=rebuilt)
    except NeedsOperator as error:
        yield blocker(
            "cache_columns",
            str(error),
            hint="Let the query return exactly the table's columns; rename others with AS.",
            table=plan.full_name,
        )
        return
    except errors.OperationalError:
        raise
    except errors.DatabaseError as error:
        yield _query_failed(audited, plan, error)
        return
    yield from _carried(connection, spec)
    if not run_open:
        yield from _names(connection, spec)


def is_rebuilt(audited: PreparedRun, plan: TableCachePlan) -> bool:
    """Whether the plan rebuilds the cache's table itself before: then its name is among the past tables already."""
    return any(s.spec.full_name == plan.full_name and s.spec.method == "rebuild" for s in audited.subjects)


def _may_not(connection: Connection, audited: PreparedRun, plan: TableCachePlan, live: LiveTable) -> Iterator[Finding]:
    sources = [live_table_named(connection, source.table_schema, source.name) for source, _ in plan.sources]
    for table in (live, *(source for source in sources if source is not None)):
        if not table.owned:
            yield blocker(
                "no_privilege",
                f"{table.full_name} is not owned by {audited.server.role}, which rebuilds cache {plan.full_name}",
                hint="Connect as its owner, or grant membership in its owner to this role.",
                table=plan.full_name,
            )
        if table.relkind == "r" and table.has_children:
            yield blocker(
                "cache_inherited",
                f"{table.full_name} has inheritance children, and their changes would not be captured",
                hint="Remove it from keep_in_step, or remove the cache.",
                table=plan.full_name,
            )
        elif table is live and table.is_inheritance_child:
            yield blocker(
                "cache_inherited",
                f"{table.full_name} inherits from another table, which would lose the rebuilt rows",
                hint="Remove it from the caches, or end the inheritance first (ALTER TABLE … NO INHERIT).",
                table=plan.full_name,
            )


def _query_failed(audited: PreparedRun, plan: TableCachePlan, error: errors.DatabaseError) -> Finding:
    said = without_rows(error)
    if audited.subjects and isinstance(error, CHANGED_BY_PLAN):
        return warning(
            "cache_query_untried",
            f"its query fails on the present tables ({said}); it cannot be tested on the new ones",
            hint="Test it on a copy of the database. If it fails after the swap, the run waits for a corrected query.",
            table=plan.full_name,
            sqlstate=error.sqlstate,
        )
    return blocker(
        "cache_query",
        f"PostgreSQL rejects its query: {said}",
        hint=error.diag.message_hint or "Qualify the names of tables and functions with their schemas.",
        table=plan.full_name,
        sqlstate=error.sqlstate,
    )


def _carried(connection: Connection, spec: CacheSpec) -> Iterator[Finding]:
    """What hangs on the table and would be lost; twice in one run nothing of it can go to the past."""
    dependents = read_dependents(connection, [spec])
    for what, name in fingerprints.not_carried(connection, [spec.oid], replaced=frozenset(dependents.oids))[spec.oid]:
        yield blocker(
            "not_carried",
            f"{what}: {name}; this version cannot carry it over to the rebuilt cache",
            hint="Drop it before the run and create it again afterwards, or remove the cache from the plan.",
            table=spec.full_name,
            object=name,
            kind=what,
        )
    if spec.swapped_before and (dependents.views or dependents.functions):
        names = [view.full_name for view in dependents.views] + [f.signature for f in dependents.functions]
        yield blocker(
            "cache_hung_on",
            f"{', '.join(names)} would be replaced twice: by the table's rebuild and by the cache's",
            hint="Drop it before the run and create it again afterwards, or rebuild the cache in a run of its own.",
            table=spec.full_name,
        )


def _names(connection: Connection, spec: CacheSpec) -> Iterator[Finding]:
    schemas = [spec.past_schema] if spec.swapped_before else [spec.next_schema, spec.past_schema]
    taken = query("audit.taken_names")
    for found in rows(connection, taken, {"oid": spec.oid, "schemas": schemas}):
        name = f"{found['schema']}.{found['name']}"
        yield blocker(
            "name_taken",
            f"{name} already exists, and the run needs this name",
            hint="It is left over from an earlier run. Check whether its rows are needed, then drop or rename it.",
            table=spec.full_name,
            object=name,
        )


def _view(connection: Connection, plan: MaterializedViewPlan) -> Iterator[Finding]:
    view = find_relation(connection, plan.table_schema, plan.name)
    if view is None:
        return
    if not view.owned:
        yield blocker(
            "no_privilege",
            f"{plan.full_name} is not owned by this role, so the role cannot refresh it",
            hint="Connect as its owner, or grant membership in its owner to this role.",
            table=plan.full_name,
        )
    if plan.concurrently and not view.has_unique_index:
        yield blocker(
            "cache_unique_index",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY needs a unique index on columns that covers all rows",
            hint="Create such an index, or set concurrently = false: then readers wait for the refresh.",
            table=plan.full_name,
        )
    if plan.concurrently and not view.populated:
        yield blocker(
            "cache_not_populated",
            "it was never populated, so it cannot be refreshed concurrently",
            hint="Run REFRESH MATERIALIZED VIEW once, or set concurrently = false.",
            table=plan.full_name,
        )


def _prewarm(connection: Connection, audited: PreparedRun, plan: PrewarmPlan) -> Iterator[Finding]:
    if prewarm_schema(connection) is None:
        yield blocker(
            "cache_extension",
            f"cache {plan.name} needs the extension pg_prewarm",
            hint="Run CREATE EXTENSION pg_prewarm (part of PostgreSQL's contrib), or remove the cache from the plan.",
        )
    if plan.tables is None and not swapped_names(audited.file.plan):
        yield blocker(
            "cache_nothing",
            f"cache {plan.name} lists no tables, and the plan swaps none",
            hint='Set tables = ["public.orders"].',
        )


def _redis(plan: RedisPlan) -> Iterator[Finding]:
    try:
        address = cache_address(plan.url_env, os.environ)
    except WrongUse as error:
        yield blocker(
            "cache_environment",
            f"cache {plan.name}: {error}",
            hint="Set it for this command and for every worker.",
        )
        return
    try:
        with redis.Redis.from_url(address.url, socket_timeout=PING_S, socket_connect_timeout=PING_S) as client:
            client.ping()
    except RedisError as error:
        yield blocker(
            "cache_unreachable",
            f"cache {plan.name}: {address.shown} does not answer: {error}",
            hint="Check the URL and the password, and that the server runs.",
        )
