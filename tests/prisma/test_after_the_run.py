"""The documented order: first the run, then the file and the migration. Plain SQL judges; no engine is asked."""

import psycopg
import pytest

from demo.embedded import EmbeddedPostgres
from producer.compiling.compile_steps import compile_steps
from producer.prisma.changes.planned_changes import planned_changes
from producer.prisma.changes.rewrite import rewrite
from producer.prisma.migration.script import migration_script
from producer.prisma.schema.reader import read_schema
from producer.scripts.run_script import ScriptRunner
from replank.plan.plan import Plan
from sql.session.connection import connect

pytestmark = pytest.mark.prisma

HISTORY = """
CREATE TABLE "Team" (id text PRIMARY KEY, "parentTeamId" text REFERENCES "Team");
CREATE TABLE "OrderLine" (id text PRIMARY KEY, "teamId" text NOT NULL REFERENCES "Team", state text NOT NULL,
  "otherTeamId" text REFERENCES "Team");
CREATE INDEX "OrderLine_open" ON "OrderLine" ("teamId") WHERE state = 'open';
CREATE INDEX "OrderLine_some" ON "OrderLine" ("teamId") WHERE state IN ('paid', 'open');
CREATE UNIQUE INDEX "OrderLine_not_paid" ON "OrderLine" (id) WHERE state <> 'paid';
CREATE INDEX "OrderLine_team" ON "OrderLine" ("teamId") WHERE "teamId" IS NOT NULL;
CREATE INDEX by_hand ON "OrderLine" ("otherTeamId");
CREATE VIEW lines AS SELECT id FROM "OrderLine";
"""

ROWS = """
INSERT INTO "Team" SELECT gen_random_uuid() FROM generate_series(1, 9);
INSERT INTO "OrderLine" SELECT gen_random_uuid(), id, 'open', id FROM "Team";
"""

SCHEMA = """\
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

model Team {
  id           String      @id
  parentTeamId String?
  parent       Team?       @relation("Parent", fields: [parentTeamId], references: [id])
  children     Team[]      @relation("Parent")
  lines        OrderLine[] @relation("Of")
  others       OrderLine[] @relation("Other")
}

model OrderLine {
  id          String  @id
  teamId      String
  otherTeamId String?
  state       String
  team        Team    @relation("Of", fields: [teamId], references: [id])
  other       Team?   @relation("Other", fields: [otherTeamId], references: [id])

  @@index([otherTeamId], map: "by_hand")
}
"""

STEPS = {
    "indexes": {"foreign_keys": True},
    "mappings": {"snake_case": True},
    "enums": [{"name": "line_state", "values": ["open", "paid"]}],
    "permission_cache": {
        "query": 'SELECT id AS user_id, "teamId" AS tenant_id, jsonb_build_array() AS permissions,'
        ' jsonb_build_array() AS roles FROM public."OrderLine"',
        "sources": [{"table": "OrderLine", "user": "id"}],
    },
}

TABLES = [
    {"name": "team", "columns": [{"name": "id", "to": "uuid"}, {"name": "parent_team_id", "to": "uuid"}]},
    {
        "name": "order_line",
        "columns": [
            *({"name": name, "to": "uuid"} for name in ("id", "team_id", "other_team_id")),
            {"name": "state", "to": "enum", "type": "line_state"},
        ],
    },
]

PLAIN_INDEXES = (
    "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexdef NOT LIKE '%WHERE%' ORDER BY 1"
)


def _plan(url: str) -> Plan:
    with psycopg.connect(url) as connection:
        name = connection.info.dbname
    return Plan.model_validate({"database": {"name": name}, "tables": TABLES, "steps": STEPS})


def _rewritten(url: str) -> str:
    with connect(url, name="test") as connection:
        return rewrite(SCHEMA, planned_changes(connection, _plan(url), read_schema(SCHEMA), "public"))


def _steps_run(url: str) -> None:
    """The scripts of phases 1 and 2."""
    with connect(url, name="test") as connection:
        for each in compile_steps(connection, _plan(url)):
            if each.asked and each.step.phase < 3:
                ScriptRunner(connection=connection, attempts=5).run(each.forward)


def test_the_file_and_the_migration_are_whole_when_they_are_written_after_the_run(
    postgres: EmbeddedPostgres, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as app:
        app.execute(HISTORY.encode())
        before = _rewritten(database)
        assert '@@index([teamId], map: "OrderLine_teamId_idx")' in before
        assert '@@index([parentTeamId], map: "Team_parentTeamId_idx")' in before
        _steps_run(database)
        # Then indexes of step 02, which kept the names of before step 07, are known
        assert _rewritten(database) == before
        indexes = app.execute(PLAIN_INDEXES.encode()).fetchall()
    with connect(database, name="test") as connection:
        changes = planned_changes(connection, _plan(database), read_schema(SCHEMA), "public")
        migration = migration_script(connection, _plan(database), "public", changes)
    # And what the migration makes of a copy with rows, or of Prisma's shadow database, is the same
    for rows in (ROWS, ""):
        with psycopg.connect(postgres.create_database("prisma_copy"), autocommit=True) as copy:
            copy.execute((HISTORY + rows).encode())
            copy.execute(migration.encode())
            assert copy.execute(PLAIN_INDEXES.encode()).fetchall() == indexes
            partial = dict(
                copy.execute(
                    "SELECT indexname, split_part(indexdef, ' WHERE ', 2) FROM pg_indexes WHERE indexdef LIKE '%WHERE%'"
                ).fetchall()
            )
            assert partial["OrderLine_open"] == "(state = 'open'::line_state)"
            assert partial["OrderLine_not_paid"] == "(state <> 'paid'::line_state)"
            assert partial["OrderLine_team"] == "(team_id IS NOT NULL)"
            types = "SELECT pg_typeof(id)::text, pg_typeof(state)::text, count(*) FROM order_line GROUP BY 1, 2"
            assert copy.execute(types.encode()).fetchall() == ([("uuid", "line_state", 9)] if rows else [])
            assert copy.execute("SELECT count(*) FROM lines").fetchone() == ((9,) if rows else (0,))
        postgres.drop_database("prisma_copy")
