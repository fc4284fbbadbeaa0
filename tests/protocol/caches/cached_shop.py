"""Members with permissions, and a cache of who may do what: as little as every kind of cache can be made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, LiteralString

import psycopg
from support.runs.harness import Rebuild, Url

from producer.planning.resolution import PlanFile
from producer.starting.begin import begin_or_resume
from replank.plan.plan import Plan
from replank.values.states import RunState
from sql.ledger.tables import caches
from sql.ledger.tables.caches import Cache
from sql.session.connection import connect

Begin = Callable[..., Rebuild]
"""Begins a run on the filled shop: `start(CACHE, SUMMARY, tables=ALL_UUID)`."""

USERS = 60
MOST_TURNS = 300

TABLES: LiteralString = """
CREATE TABLE users (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE permission (group_id int NOT NULL, name text NOT NULL, PRIMARY KEY (group_id, name));
CREATE TABLE membership (
    user_id text NOT NULL REFERENCES users, group_id int NOT NULL, PRIMARY KEY (user_id, group_id));
CREATE TABLE user_permission_cache (
    user_id text NOT NULL REFERENCES users,
    permission text NOT NULL CHECK (permission <> ''),
    granted int NOT NULL,
    built_at timestamptz NOT NULL DEFAULT now(),
    hit_count bigint NOT NULL DEFAULT 7,
    miss_count bigint NOT NULL DEFAULT 3,
    PRIMARY KEY (user_id, permission)
);
CREATE INDEX by_permission ON user_permission_cache (permission) WHERE granted > 1;
COMMENT ON TABLE user_permission_cache IS 'who may do what';
COMMENT ON COLUMN user_permission_cache.granted IS 'by how many groups';
COMMENT ON INDEX by_permission IS 'the busy ones';
INSERT INTO users SELECT md5('u' || n)::uuid::text, 'User ' || n FROM generate_series(1, 60) AS n;
INSERT INTO permission SELECT g, 'may ' || (g * 3 + n) % 11 FROM generate_series(1, 9) AS g, generate_series(1, 4) AS n;
INSERT INTO membership SELECT md5('u' || n)::uuid::text, 1 + (n * k) % 9
  FROM generate_series(1, 60) AS n, generate_series(1, 3) AS k ON CONFLICT DO NOTHING;
INSERT INTO user_permission_cache (user_id, permission, granted)
  SELECT id, 'stale', 1 FROM users;
CREATE MATERIALIZED VIEW permission_summary AS SELECT name, count(*) AS groups FROM permission GROUP BY name;
CREATE UNIQUE INDEX ON permission_summary (name);
ANALYZE;
"""

QUERY = """
SELECT m.user_id, p.name AS permission, count(*)::int AS granted
  FROM public.membership AS m JOIN public.permission AS p ON p.group_id = m.group_id
 WHERE p.name LIKE 'may %'
 GROUP BY m.user_id, p.name  -- one row for each, however many groups say so
"""

CACHE: Mapping[str, Any] = {"kind": "table", "name": "user_permission_cache", "query": QUERY, "chunk_by": "user_id"}
IN_STEP: Mapping[str, Any] = {**CACHE, "keep_in_step": ["public.membership"]}
SUMMARY: Mapping[str, Any] = {"kind": "materialized_view", "name": "permission_summary"}

DIFFERENCES = """
WITH cached AS (SELECT user_id::text, permission, granted FROM public.user_permission_cache),
     wanted AS (SELECT user_id::text, permission, granted FROM ({query}) AS q)
SELECT 'too much', * FROM (SELECT * FROM cached EXCEPT ALL SELECT * FROM wanted) AS a
UNION ALL SELECT 'missing', * FROM (SELECT * FROM wanted EXCEPT ALL SELECT * FROM cached) AS b
"""


def differences(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """The cache against its query, by plain SQL."""
    return connection.execute(DIFFERENCES.format(query=QUERY).encode()).fetchall()


def planned(*caches: Mapping[str, Any], database: str, tables: tuple[Mapping[str, Any], ...] = ()) -> Plan:
    document = {"database": {"name": database}, "tables": list(tables), "caches": list(caches)}
    return Plan.model_validate({**document, "options": {"lock_timeout_ms": 100, "cutover_wait_ms": 200}})


def converted(name: str, *columns: str) -> dict[str, Any]:
    return {"name": name, "columns": [{"name": column, "to": "uuid"} for column in columns]}


ALL_UUID = (
    converted("users", "id"),
    converted("membership", "user_id"),
    converted("user_permission_cache", "user_id"),
)
"""Every column that holds a user's id, the cache's own among them."""


def begin(url: Url, *caches: Mapping[str, Any], tables: tuple[Mapping[str, Any], ...] = ()) -> Rebuild:
    """Write a run with these caches into the ledger. The swap of tables waits for nobody."""
    with connect(url, name="begin") as connection:
        plan = planned(*caches, database=connection.info.dbname, tables=tables)
        begin_or_resume(connection, PlanFile(plan=plan, source="plan.toml", text=""), hold_cutover=False)
    return Rebuild.attach(url)


def present(rebuild: Rebuild, number: int = 1) -> Cache:
    return caches.read_cache(rebuild.connection, rebuild.run_id, number)


def until(rebuild: Rebuild, state: str, *, number: int = 1, look: Callable[[], None] = lambda: None) -> None:
    """Turn by turn and job by job until the cache is in `state`."""
    for _ in range(MOST_TURNS):
        if present(rebuild, number).state == state:
            return
        assert rebuild.run.state is RunState.RUNNING, rebuild.why()
        moved = rebuild.turn()
        look()
        if not moved:
            rebuild.pass_time()
            for job_id in rebuild.jobs():
                rebuild.execute(job_id)
                look()
                if present(rebuild, number).state == state:
                    return
    raise AssertionError(f"{state} is not reached: {present(rebuild, number)}")


def details(rebuild: Rebuild, what: str, state: str = "waiting") -> list[int]:
    """Jobs of a cache that do `what`."""
    found = rebuild.connection.execute(
        "SELECT job_id FROM replank.job WHERE detail ->> 'what' = %s AND state = %s ORDER BY 1", [what, state]
    )
    return [job_id for (job_id,) in found]
