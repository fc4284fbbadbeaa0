"""The plan's caches meet a database: what they name is looked up, and a cache table becomes a spec to work from."""

from __future__ import annotations

from producer.planning.resolution import PlanFile
from replank.errors import NeedsOperator, WrongUse
from replank.plan.plan import Plan
from replank.plan.tables.cache_plan import CachePlan, MaterializedViewPlan, PrewarmPlan, TableCachePlan
from replank.values.cache_spec import CacheSpec, SourceSpec
from replank.values.table_spec import ColumnSpec
from sql.caches.cache_hits import block_hits, counted_hits, find_relation
from sql.caches.cache_table import GivenColumn, columns_against, given_columns, types_apart
from sql.catalogue import catalogue, fingerprints
from sql.catalogue.catalogue import LiveTable
from sql.ledger.tables import cache_step, caches
from sql.session.connection import Connection

TABLES = ("r", "p")
SHOWN_KINDS = {"r": "a table", "p": "a table", "v": "a view", "m": "a materialized view", "f": "a foreign table"}


def refuse_unknown(connection: Connection, file: PlanFile) -> None:
    """Look every name up. Raises WrongUse with a line for each that is nothing, or nothing of that kind."""
    mistakes: list[str] = []
    for number, cache in enumerate(file.plan.caches):
        for key, (schema, name), kinds in _named(cache):
            found = find_relation(connection, schema, name)
            where = file.at("caches", number, key)
            if found is None:
                mistakes.append(f"{where}: {schema}.{name} does not exist in this database")
            elif found.relkind not in kinds:
                wanted = " or ".join(dict.fromkeys(SHOWN_KINDS[kind] for kind in kinds))
                is_one = SHOWN_KINDS.get(found.relkind, "something else")
                mistakes.append(f"{where}: {schema}.{name} is {is_one}; {wanted} is needed here")
    if mistakes:
        raise WrongUse("\n".join(mistakes) + "\nCorrect the plan.")


def _named(cache: CachePlan) -> list[tuple[str, tuple[str, str], tuple[str, ...]]]:
    """The key of the plan, the relation that it names, and what that must be."""
    match cache:
        case TableCachePlan():
            sources = [("keep_in_step", (s.table_schema, s.name), TABLES) for s, _ in cache.sources]
            return [("name", (cache.table_schema, cache.name), TABLES), *sources]
        case MaterializedViewPlan():
            return [("name", (cache.table_schema, cache.name), ("m",))]
        case PrewarmPlan():
            return [("tables", name, (*TABLES, "m")) for name in cache.named_tables or ()]
    return []


def live_table_named(connection: Connection, schema: str, name: str) -> LiveTable | None:
    found = find_relation(connection, schema, name)
    tables = [] if found is None else catalogue.read_tables(connection, [found.oid])
    return tables[0] if tables else None


def cache_spec(connection: Connection, plan: TableCachePlan, *, run_id: int, cache_no: int, rebuilt: bool) -> CacheSpec:
    """What is to be built, from the database as it is now. `rebuilt`: the plan rebuilds the table itself, too.

    Raises NeedsOperator where plan and database do not fit, psycopg.Error where the server refuses the query.
    """
    live = live_table_named(connection, plan.table_schema, plan.name)
    if live is None:
        raise NeedsOperator(
            f"cache {plan.full_name} does not exist any more. Create it again, then `replank retry` and `replank run "
            "PLAN`"
        )
    given = given_columns(connection, plan.query)
    problems = columns_against(given, live)
    cut = next((column for column in given if column.name == plan.chunk_by), None)
    if plan.chunk_by is not None and cut is None:
        problems.append(f"it does not return {plan.chunk_by}, the column of chunk_by")
    if cut is not None and plan.keep_in_step:
        problems += _keys_apart(connection, plan, cut, live)
    if problems:
        raise NeedsOperator(f"cache {plan.full_name}: its query and its table do not match: {'; '.join(problems)}")
    return CacheSpec(
        run_id=run_id,
        table_no=0,
        cache_no=cache_no,
        oid=live.oid,
        schema=live.schema,
        name=live.name,
        columns=tuple(
            ColumnSpec(
                name=column.name,
                live_type=column.type,
                next_type=column.type,
                generated=column.generated,
                hash_as_text=column.hash_as_text,
                hash_by_output=column.hash_by_output,
                loose=column.hash_as_text,
                operators=column.operators,
            )
            for column in live.columns
        ),
        key=live.key,
        capture="statement",
        partitioned_by="",
        partitions=(),
        shape=fingerprints.shape(connection, live.oid),
        query=plan.query,
        given=tuple(column.name for column in given),
        cut_by="" if cut is None else cut.name,
        cut_type="" if cut is None else cut.type,
        cut_operators="" if cut is None else cut.operators,
        chunks=1 if cut is None else plan.chunks,
        sources=tuple(_source(connection, source.table_schema, source.name, key) for source, key in plan.sources),
        swapped_before=rebuilt,
    )


def _keys_apart(connection: Connection, plan: TableCachePlan, cut: GivenColumn, live: LiveTable) -> list[str]:
    """Marks are values as texts: query, table and sources must write them alike."""
    own = live.column(cut.name)
    ends = [] if own is None else [(plan.full_name, own)]
    for source, key in plan.sources:
        table = live_table_named(connection, source.table_schema, source.name)
        column = None if table is None else table.column(key)
        if column is not None:
            ends.append((source.full_name, column))
    return [
        f"to keep it in step, {name}.{column.name} ({column.type}) must have the type that the query returns "
        f"({cut.type})"
        for name, column in ends
        if types_apart(column.type_name, cut.type_name)
    ]


def _source(connection: Connection, schema: str, name: str, key: str) -> SourceSpec:
    live = live_table_named(connection, schema, name)
    if live is None or live.column(key) is None:
        raise NeedsOperator(f"{schema}.{name} has no column {key}, which keep_in_step needs")
    parts = catalogue.partitions(connection, live.oid)
    return SourceSpec(
        schema=schema,
        name=name,
        key=key,
        relations=((schema, name), *((part.schema, part.name) for part in parts)),
        capture="row" if live.partitioned or live.subscribed else "statement",
    )


def swapped_names(plan: Plan) -> list[tuple[str, str]]:
    """Every table that the plan replaces, cache tables among them."""
    names = [(table.table_schema, table.name) for _, table in plan.wanted_tables]
    names += [(cache.table_schema, cache.name) for cache in plan.caches if isinstance(cache, TableCachePlan)]
    return list(dict.fromkeys(names))


def plan_caches(connection: Connection, run_id: int, plan: Plan, *, named_now: Plan | None = None) -> None:
    """Write the plan's caches into the ledger of a run that begins, with how well all is hit before it.

    `named_now` is the plan in the names that tables have now, where step 07 gives them others.
    """
    if not plan.caches:
        return
    cache_step.plan(connection, run_id, {"before": measure_tables(connection, named_now or plan)})
    for number, cache in enumerate(plan.caches, start=1):
        caches.add_cache(connection, run_id, number, cache, measure(connection, plan, cache))


def measure_tables(connection: Connection, plan: Plan) -> dict[str, object]:
    """How well all tables that the plan replaces are hit now."""
    return block_hits(connection, swapped_names(plan))


def measure(connection: Connection, plan: Plan, cache: CachePlan) -> dict[str, object] | None:
    """How well a cache is hit now; None for a Redis, which is not asked, and where it has no such name yet."""
    if any(find_relation(connection, *name) is None for _, name, _ in _named(cache)):
        return None
    match cache:
        case TableCachePlan() if cache.hits is not None and cache.misses is not None:
            return counted_hits(connection, cache.table_schema, cache.name, cache.hits, cache.misses)
        case TableCachePlan() | MaterializedViewPlan():
            return block_hits(connection, [(cache.table_schema, cache.name)])
        case PrewarmPlan():
            return block_hits(connection, cache.named_tables or swapped_names(plan))
    return None
