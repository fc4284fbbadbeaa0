"""Step 07 and Prisma: the file says the new names before the run and after it, and the engine finds nothing to do."""

import psycopg
import pytest

from demo.embedded import EmbeddedPostgres
from prisma import engine
from producer.compiling.compile_steps import compile_steps
from producer.prisma.changes.planned_changes import planned_changes
from producer.prisma.changes.rewrite import rewrite
from producer.prisma.migration.script import migration_script
from producer.prisma.schema.reader import read_schema
from producer.scripts.run_script import ScriptRunner
from replank.errors import WrongUse
from replank.plan.plan import Plan
from sql.session.connection import connect

pytestmark = pytest.mark.prisma

SCHEMA = """\
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

model Author {
  id       String  @id @default(uuid())
  fullName String  @unique
  bossId   String?
  boss     Author? @relation("Boss", fields: [bossId], references: [id])
  staff    Author[] @relation("Boss")
  books    BookItem[]
}

model BookItem {
  isbn     String @id
  authorId String
  author   Author @relation(fields: [authorId], references: [id])
  tags     Tag[]

  @@index([authorId])
  @@map("Books")
}

model Tag {
  name  String @id
  books BookItem[]
}

model done_already {
  id      Int @id
  made_at DateTime
}
"""

TABLES = [
    {
        "name": "author",
        "columns": [{"name": "id", "to": "uuid"}, {"name": "boss_id", "to": "uuid"}],
        "add": [{"name": "pen_name", "type": "text", "unique": True}],
    },
    {"name": "volume", "columns": [{"name": "author_id", "to": "uuid"}]},
]

# What a run does to these tables, in plain SQL.
CONVERTED = """
ALTER TABLE author DROP CONSTRAINT "Author_bossId_fkey"; ALTER TABLE volume DROP CONSTRAINT "Books_authorId_fkey";
DROP VIEW "Author", "Books";
ALTER TABLE author ALTER id TYPE uuid USING id::uuid, ALTER boss_id TYPE uuid USING boss_id::uuid, ADD pen_name text,
  ADD CONSTRAINT author_pen_name_key UNIQUE (pen_name);
ALTER TABLE volume ALTER author_id TYPE uuid USING author_id::uuid;
ALTER TABLE author ADD CONSTRAINT "Author_bossId_fkey" FOREIGN KEY (boss_id) REFERENCES author ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE volume ADD CONSTRAINT "Books_authorId_fkey" FOREIGN KEY (author_id) REFERENCES author ON UPDATE CASCADE ON DELETE RESTRICT;
"""  # noqa: E501

VIEWS = """
CREATE VIEW "Author" AS SELECT id, full_name AS "fullName", boss_id AS "bossId" FROM author;
COMMENT ON VIEW "Author" IS 'Replank: the old names of public.author';
CREATE VIEW "Books" AS SELECT isbn, author_id AS "authorId" FROM volume;
COMMENT ON VIEW "Books" IS 'Replank: the old names of public.volume';
"""


def _plan(url: str) -> Plan:
    with psycopg.connect(url) as connection:
        name = connection.info.dbname
    mappings = {"rename": [{"table": "Books", "to": "volume"}, {"table": "Tag", "to": "Tag"}]}
    return Plan.model_validate({"database": {"name": name}, "tables": TABLES, "steps": {"mappings": mappings}})


def _rewritten(url: str, schema: str) -> str:
    with connect(url, name="test") as connection:
        return rewrite(schema, planned_changes(connection, _plan(url), read_schema(schema), "public"))


def _renamed(url: str) -> None:
    """Step 07 runs."""
    with connect(url, name="test") as connection:
        step = next(each for each in compile_steps(connection, _plan(url)) if each.step.number == 7)
        ScriptRunner(connection=connection, attempts=5).run(step.forward)


def test_the_file_follows_the_names_before_and_after(postgres: EmbeddedPostgres, database: str) -> None:
    script = engine.creation(database, SCHEMA)
    with psycopg.connect(database, autocommit=True) as app:
        app.execute(script.encode())
        planned = _rewritten(database, SCHEMA)
        with connect(database, name="test") as connection, pytest.raises(WrongUse, match="Step 07 has not run yet"):
            migration_script(connection, _plan(database), "public")
        _renamed(database)
        assert _rewritten(database, SCHEMA) == planned
        app.execute(CONVERTED.encode())
        app.execute(VIEWS.encode())
        after = _rewritten(database, SCHEMA)
    assert after == planned
    # Models and fields keep their names; a second rewriting changes nothing; Prisma has nothing to do
    assert [line for line in after.splitlines() if line.startswith("model")] == [
        line for line in SCHEMA.splitlines() if line.startswith("model")
    ]
    assert '@@map("volume")' in after
    assert '@map("boss_id")' in after
    assert _rewritten(database, after) == after
    engine.validate(after)
    assert engine.difference(database, after) == []

    # And the migration makes the same of a database with the old names, whether or not the file was rewritten before
    with connect(database, name="test") as connection:
        plan = _plan(database)
        migration, again = (
            migration_script(connection, plan, "public", planned_changes(connection, plan, read_schema(file), "public"))
            for file in (SCHEMA, after)
        )
    assert again == migration
    shadow = postgres.create_database("prisma_shadow")
    with psycopg.connect(shadow, autocommit=True) as app:
        app.execute(script.encode())
        app.execute(migration.encode())
    assert engine.difference(shadow, after) == []
    postgres.drop_database("prisma_shadow")
