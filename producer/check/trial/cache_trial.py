"""The trial of cache queries: planned against the tables as they will be, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import errors
from psycopg.sql import SQL, Identifier, Literal

from producer.check.definitions.caches import CHANGED_BY_PLAN, is_rebuilt
from producer.check.findings import Finding, blocker, warning
from producer.check.trial.attempt import LOCK_TIMEOUT_MS
from producer.planning.cache_resolution import cache_spec
from producer.planning.prepared_run import PreparedRun
from producer.steps.enum_types import make_types
from replank.errors import NeedsOperator
from replank.plan.tables.cache_plan import TableCachePlan
from replank.values.cache_spec import CacheSpec
from sql.caches.cache_hits import hits_statement
from sql.caches.cache_table import in_parentheses
from sql.catalogue.dependents import Dependents, looking_in, read_dependents
from sql.next_table.builder import create_next
from sql.session.connection import Connection, apply_settings, run, value
from sql.session.server_message import without_rows
from sql.session.statements import execute, scratch
from sql.session.table_names import next_table, server_text

AS_IT_IS = Identifier("pg_temp", "replank_cache_query")
AS_IT_WILL_BE = Identifier("pg_temp", "replank_cache_query_next")


def try_caches(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Plan every cache query, read nothing, keep nothing."""
    found: list[Finding] = []
    plans = [cache for cache in audited.file.plan.caches if isinstance(cache, TableCachePlan)]
    if not plans:
        return found
    with scratch(connection):
        apply_settings(connection, {"lock_timeout": f"{LOCK_TIMEOUT_MS}ms"}, local=True)
        make_types(connection, audited.file.plan)
        specs = [subject.spec for subject in audited.subjects if subject.spec.method == "rebuild"]
        dependents = read_dependents(connection, specs)
        for spec in specs:
            execute(connection, create_next(connection, spec))
        for plan in plans:
            found += _try(connection, audited, plan, dependents)
    return found


def _try(
    connection: Connection, audited: PreparedRun, plan: TableCachePlan, dependents: Dependents
) -> Iterator[Finding]:
    rebuilt = is_rebuilt(audited, plan)
    try:
        with connection.transaction():
            spec = cache_spec(connection, plan, run_id=0, cache_no=0, rebuilt=rebuilt)
    except (NeedsOperator, *CHANGED_BY_PLAN):
        # Said already, without the trial.
        return
    try:
        with connection.transaction():
            if not rebuilt:
                execute(connection, create_next(connection, spec))
            _plan_query(connection, spec, dependents)
            if plan.hits is not None and plan.misses is not None:
                counted = hits_statement(plan.table_schema, plan.name, plan.hits, plan.misses)
                run(connection, SQL("EXPLAIN {}").format(counted))
    except errors.LockNotAvailable:
        yield warning(
            "trial_unfinished",
            f"planning its query waited more than {LOCK_TIMEOUT_MS} ms for a lock and was cancelled",
            hint="Run `replank check` again when the session that holds the table has ended.",
            table=plan.full_name,
        )
    except errors.OperationalError:
        raise
    except errors.DatabaseError as error:
        yield blocker(
            "cache_query",
            f"with the new tables, its query cannot fill it: {without_rows(error)}",
            hint=error.diag.message_hint or "In the query, cast the columns whose type changes.",
            table=plan.full_name,
            sqlstate=error.sqlstate,
        )


def _plan_query(connection: Connection, spec: CacheSpec, dependents: Dependents) -> None:
    """As a view over the live tables, rewritten by the server, the query means the next ones."""
    columns = SQL(", ").join(Identifier(name) for name in spec.given)
    run(connection, SQL("CREATE VIEW {} AS SELECT * FROM {}").format(AS_IT_IS, in_parentheses(spec.query)))
    regclass = SQL("SELECT pg_get_viewdef({}::regclass)").format(Literal(AS_IT_IS.as_string(connection)))
    with looking_in(connection, dependents.live_path(spec.schema)):
        written = str(value(connection, regclass)).rstrip().rstrip(";")
    with looking_in(connection, dependents.next_path(spec.schema)):
        run(connection, SQL("CREATE VIEW {} AS {}").format(AS_IT_WILL_BE, server_text(written)))
    insert = SQL("EXPLAIN INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS q").format(
        next_table(spec), columns, columns, AS_IT_WILL_BE
    )
    run(connection, insert)
    if spec.cut_by:
        ordered = SQL("EXPLAIN SELECT FROM {} AS q ORDER BY {}").format(AS_IT_WILL_BE, Identifier("q", spec.cut_by))
        run(connection, ordered)
    run(connection, SQL("DROP VIEW {}, {}").format(AS_IT_IS, AS_IT_WILL_BE))
