"""The plan as it is rehearsed: for the clone, and without what reaches beyond it."""

from __future__ import annotations

from psycopg.sql import SQL, Identifier

from replank.plan.plan import DatabasePlan, Plan
from replank.plan.tables.cache_plan import MaterializedViewPlan, RedisPlan, TableCachePlan
from replank.values.table_spec import building_schema
from sql.measurement.checksums import Name
from sql.session.connection import Connection
from sql.swap.drop_retained import read_retained
from sql.swap.views_beside import building_schemas, drop_empty_schemas

PASTS = ("replank_past", "replank_past_cache")


def clone_plan(plan: Plan, database: str) -> tuple[Plan, list[str]]:
    """The plan for the clone, and what it leaves out.

    No gates and no windows: it waits for no operator. Neither keys of a Redis nor the schema file:
    they are the application's own.
    """
    redis = {cache.full_name for cache in plan.caches if isinstance(cache, RedisPlan)}
    kept = tuple(
        cache.model_copy(update={"after": tuple(name for name in cache.after if name not in redis)})
        for cache in plan.caches
        if cache.full_name not in redis
    )
    changes = {"database": DatabasePlan(name=database), "caches": kept, "gates": None, "prisma": None}
    left_out = [f"Redis keys of cache {name}" for name in sorted(redis)]
    left_out += ["the schema file (step 06)"] if plan.prisma is not None else []
    return plan.model_copy(update=changes), left_out


def can_roll_back(plan: Plan) -> bool:
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
    for name in read_retained(connection, names):
        connection.execute(SQL("DROP TABLE {}").format(Identifier(name.schema, name.name)))
    drop_empty_schemas(connection, building_schemas(connection, *PASTS))
