"""The plan as it is rehearsed: for the clone, and without what reaches beyond it."""

from __future__ import annotations

from psycopg import sql

from producer.coordinator import drop_empty_schemas
from replank.cache_plan import MaterializedViewPlan, RedisPlan, TableCachePlan
from replank.plan import DatabasePlan, Plan
from replank.table_spec import building_schema
from sql.beside import building_schemas
from sql.connection import Connection
from sql.contents import Name
from sql.dropping import put_aside

PASTS = ("replank_past", "replank_past_cache")


def clone_plan(plan: Plan, database: str) -> tuple[Plan, list[str]]:
    """The plan for the clone, and what it leaves out.

    No gates and no windows: nobody is waited for. No keys of a Redis: it is the application's own, not the clone's.
    """
    redis = {cache.full_name for cache in plan.caches if isinstance(cache, RedisPlan)}
    kept = tuple(
        cache.model_copy(update={"after": tuple(name for name in cache.after if name not in redis)})
        for cache in plan.caches
        if cache.full_name not in redis
    )
    changes = {"database": DatabasePlan(name=database), "caches": kept, "gates": None}
    return plan.model_copy(update=changes), [f"Redis keys of cache {name}" for name in sorted(redis)]


def has_way_back(plan: Plan) -> bool:
    """Whether there is anything that a rollback takes back, after the cutover too."""
    return plan.options.reverse_capture if plan.tables else plan.steps.asked


def rebuilt_caches(plan: Plan) -> list[Name]:
    """Caches that stay as they were rebuilt when a run is rolled back: schema and name."""
    of_tables = (cache for cache in plan.caches if isinstance(cache, TableCachePlan | MaterializedViewPlan))
    return [(cache.table_schema, cache.name) for cache in of_tables]


def drop_past_caches(connection: Connection, plan: Plan) -> None:
    """Past contents of caches stay after a rollback, as they should; in the comparison they would be in the way."""
    of_tables = [cache for cache in plan.caches if isinstance(cache, TableCachePlan)]
    names = [(building_schema(past, cache.table_schema), cache.name) for cache in of_tables for past in PASTS]
    for name in put_aside(connection, names):
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name.schema, name.name)))
    drop_empty_schemas(connection, building_schemas(connection, *PASTS))
