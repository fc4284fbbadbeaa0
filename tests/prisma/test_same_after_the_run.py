"""The schema file and the migration are written after the run as they would have been before it."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from support.runs.harness import Rebuild

from demo.embedded import EmbeddedPostgres
from prisma import engine
from prisma.engine import Migration
from producer.planning.resolution import PlanFile
from producer.prisma.changes.planned_changes import planned_changes
from producer.prisma.changes.rewrite import rewrite
from producer.prisma.migration.script import migration_script
from producer.prisma.schema.reader import read_schema
from producer.starting.begin import begin_or_resume
from replank.errors import WrongUse
from replank.plan.plan import Plan
from sql.session.connection import connect

pytestmark = pytest.mark.prisma

SCHEMA = """\
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

model Customer {
  id       String     @id @default(uuid())
  parentId String?
  parent   Customer?  @relation("Tree", fields: [parentId], references: [id])
  children Customer[] @relation("Tree")
  orders   Order[]
  members  Member[]
}

model Member {
  teamId     String
  customerId String
  customer   Customer @relation(fields: [customerId], references: [id])

  @@id([teamId, customerId])
}

model Order {
  id         String   @id @default(uuid())
  customerId String
  state      String   @default("open")
  kind       String   @default("shop")
  createdAt  DateTime @default(now())
  customer   Customer @relation(fields: [customerId], references: [id])
  lines      Line[]
}

model Line {
  id      BigInt @id @default(autoincrement())
  orderId String
  order   Order  @relation(fields: [orderId], references: [id])
}
"""

# What people write into a migration by hand: Prisma has no words for it.
BY_HAND = """
CREATE INDEX order_open ON "Order" ("createdAt") WHERE state = 'open';
CREATE INDEX order_states ON "Order" ("createdAt") WHERE state IN ('open', 'in progress');
CREATE INDEX order_spelled ON "Order" ((coalesce("customerId", id)));
ALTER TABLE "Order" ADD CONSTRAINT order_state CHECK (state IN ('open', 'paid', 'in progress')),
  ADD CONSTRAINT order_kind CHECK (kind ~ '^[a-z]+$');
CREATE VIEW order_list AS SELECT o.id, c.id AS customer FROM "Order" o JOIN "Customer" c ON c.id = o."customerId";
"""
# What the live database has besides.
BESIDES = """
CREATE SCHEMA reporting;
CREATE VIEW reporting.orders AS SELECT id, customer FROM order_list;
CREATE VIEW order_count AS SELECT count(id) FROM reporting.orders;
CREATE TABLE reporting.seen (n int PRIMARY KEY, order_id text REFERENCES "Order" (id));
CREATE INDEX seen_few ON reporting.seen (n) WHERE order_id IS NOT NULL;
"""
ROWS = """
INSERT INTO "Customer" (id) SELECT gen_random_uuid() FROM generate_series(1, 20);
INSERT INTO "Member" SELECT 't' || row_number() OVER (), id FROM "Customer";
INSERT INTO "Order" (id, "customerId", state) SELECT gen_random_uuid(), id, 'in progress' FROM "Customer";
INSERT INTO "Line" ("orderId") SELECT id FROM "Order";
"""

STEPS: dict[str, Any] = {
    "indexes": {"add": [{"name": "order_unpaid", "table": "Order", "columns": ["kind"], "where": "state <> 'paid'"}]},
    "audit_log": {"tables": ["Line"]},
    "permission_cache": {
        "query": 'SELECT m."customerId" AS user_id, m."teamId" AS tenant_id, \'["read"]\'::jsonb AS permissions,'
        " '[]'::jsonb AS roles FROM public.\"Member\" m",
        "sources": [{"table": "Member", "user": "customerId"}],
    },
    "enums": [
        {"name": "order_state", "values": ["open", "paid", "in_progress"]},
        {"name": "order_kind", "values": ["shop", "web"]},
    ],
}
MAPPINGS = {"snake_case": True, "rename": [{"table": "Line", "to": "position", "columns": {"orderId": "of_order"}}]}
YEARS = {"by": "range", "column": "created_at", "every": "year", "consent": ["uniqueness", "foreign_keys"]}


def _tables(*names: str) -> list[dict[str, Any]]:
    customer, order, line, member = names
    own, parent, leading = ("customer_id", "parent_id", "of_order") if customer == "customer" else _OLD
    words = {"in progress": "in_progress"}
    return [
        {"name": customer, "columns": [{"name": "id", "to": "uuid"}, {"name": parent, "to": "uuid"}]},
        {"name": member, "columns": [{"name": own, "to": "uuid"}]},
        {
            "name": order,
            "columns": [
                {"name": "id", "to": "uuid"},
                {"name": own, "to": "uuid"},
                {"name": "state", "to": "enum", "type": "order_state", "map": words},
                {"name": "kind", "to": "enum", "type": "order_kind", "consent": ["enum_checks"]},
            ],
        },
        {"name": line, "columns": [{"name": leading, "to": "uuid"}]},
        {"schema": "reporting", "name": "seen", "columns": [{"name": "order_id", "to": "uuid"}]},
    ]


_OLD = ("customerId", "parentId", "orderId")
PLAIN: dict[str, Any] = {"tables": _tables("Customer", "Order", "Line", "Member"), "steps": STEPS}
RENAMED: dict[str, Any] = {
    "tables": _tables("customer", "order", "position", "member"),
    "steps": {**STEPS, "mappings": MAPPINGS},
}


WHO_MAY = "CREATE VIEW who_may AS SELECT c.id FROM permission.computed p JOIN customer c ON c.id::text = p.user_id"


@dataclass(frozen=True, kw_only=True)
class Live:
    """A live database before its run, the history that has made it, and a copy of it."""

    url: str
    copy: str
    init: Migration

    def plan(self, given: dict[str, Any]) -> Plan:
        with psycopg.connect(self.url) as connection:
            return Plan.model_validate({"database": {"name": connection.info.dbname}, **given})

    def file(self, plan: Plan, text: str = SCHEMA) -> str:
        with connect(self.url, name="test") as connection:
            return rewrite(text, planned_changes(connection, plan, read_schema(text), "public"))

    def migration(self, plan: Plan) -> str:
        with connect(self.url, name="test") as connection:
            changes = planned_changes(connection, plan, read_schema(SCHEMA), "public")
            return migration_script(connection, plan, "public", changes)

    def run(self, plan: Plan) -> None:
        with connect(self.url, name="test") as connection:
            begin_or_resume(connection, PlanFile(plan=plan, source="plan.toml", text=""), hold_cutover=True)
        rebuild = Rebuild.attach(self.url)
        while rebuild.take_script():
            rebuild.refuse_stuck()
        rebuild.finish()
        rebuild.close()


@pytest.fixture
def live(postgres: EmbeddedPostgres, database: str) -> Iterator[Live]:
    script = engine.creation(database, SCHEMA) + BY_HAND
    copy = postgres.create_database("prisma_copy")
    for url, more in ((database, BESIDES + ROWS), (copy, ROWS)):
        with psycopg.connect(url, autocommit=True) as app:
            app.execute((script + more).encode())
    yield Live(url=database, copy=copy, init=Migration(name="20240101000000_init", script=script))
    postgres.drop_database("prisma_copy")


# Of whole tables: the names of partitions' indexes are nobody's.
SHAPE = """
SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
UNION ALL SELECT f.conname, pg_get_constraintdef(f.oid) FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid
 WHERE f.connamespace = 'public'::regnamespace AND NOT c.relispartition AND f.conparentid = 0 AND f.contype <> 'n'
ORDER BY 1, 2
"""


def _shape(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(SHAPE.encode()).fetchall()


def _permissions(url: str) -> list[Any]:
    asked = "SELECT DISTINCT permission.permissions_of(user_id, tenant_id) FROM permission.computed"
    with psycopg.connect(url) as connection:
        return connection.execute(asked.encode()).fetchall()


ENUMS_ALONE: dict[str, Any] = {
    "tables": [{**one, "columns": one["columns"][2:]} for one in PLAIN["tables"] if one["name"] == "Order"],
    "steps": {"enums": STEPS["enums"]},
}
CACHE_ALONE = {"steps": {name: STEPS[name] for name in ("permission_cache", "audit_log")}}


@pytest.mark.parametrize("given", [ENUMS_ALONE, CACHE_ALONE], ids=["enums", "cache"])
def test_each_alone_goes_through_what_people_wrote_by_hand(live: Live, given: dict[str, Any]) -> None:
    migration = live.migration(live.plan(given))
    with psycopg.connect(live.copy) as app:
        app.execute(migration.encode())
        if given is CACHE_ALONE:
            assert "Schema audit (step 03) is left out" in migration
            asked = "SELECT DISTINCT permission.permissions_of(user_id, tenant_id) FROM permission.computed"
            assert app.execute(asked.encode()).fetchall() == [(["read"],)]
        else:
            defined = dict(app.execute(SHAPE.encode()).fetchall())
            assert defined["order_open"].endswith("WHERE (state = 'open'::order_state)")
            assert "'in_progress'::order_state" in defined["order_states"]
            assert "order_kind" not in defined


def test_file_and_migration_are_the_same_after_the_run(live: Live) -> None:
    plan = live.plan(PLAIN)
    file, migration = live.file(plan), live.migration(plan)
    live.run(plan)
    assert live.file(plan) == file
    after = live.migration(plan)
    assert list(difflib.unified_diff(migration.splitlines(), after.splitlines(), n=0)) == []
    # Prisma has nothing to do: there, in its shadow database, and in a copy with rows
    assert "@@index([orderId])" in file
    made = [live.init, Migration(name="20240102000000_replank", script=migration)]
    assert engine.difference(live.url, file) == []
    assert engine.difference_from_migrations(live.url, made, file) == []
    # Given a copy that has the migration: its indexes and CHECKs are those of the live database
    with psycopg.connect(live.copy) as app:
        app.execute(migration.encode())
    assert _shape(live.copy) == _shape(live.url)
    names = {name for name, _ in _shape(live.copy)}
    assert {"order_open", "order_states", "order_spelled", "order_unpaid", "order_state", "Line_orderId_idx"} <= names
    # And the application's permissions are asked of the cache, which changes make stale
    assert _permissions(live.copy) == [(["read"],)]
    with psycopg.connect(live.copy) as app:
        assert app.execute("SELECT count(*) FROM permission.cache").fetchone() == (20,)
        app.execute('DELETE FROM "Member"')
        assert app.execute("SELECT count(DISTINCT user_id) FROM permission.invalidation").fetchone() == (20,)
        assert app.execute("SELECT to_regnamespace('audit')").fetchone() == (None,)


def test_names_and_partitions_lose_no_index(live: Live) -> None:
    order = next(table for table in RENAMED["tables"] if table["name"] == "order")
    tables = [{**one, "partition": YEARS} if one is order else one for one in RENAMED["tables"]]
    plan = live.plan({**RENAMED, "tables": tables})
    file = live.file(plan)
    with pytest.raises(WrongUse, match="Step 07 has not run yet"):
        live.migration(plan)
    live.run(plan)
    # The foreign key of the lines is gone with the uniqueness of its end; the index that was built for it is not
    assert live.file(plan) == file
    assert live.file(plan, file) == file
    assert '@@index([orderId], map: "Line_orderId_idx")' in file
    assert engine.difference(live.url, file) == []
    # A view that reads the cache comes back behind it
    with psycopg.connect(live.url) as app:
        app.execute(WHO_MAY.encode())
    migration = live.migration(plan)
    assert migration.index('VIEW "permission"."computed" AS') < migration.index('VIEW "who_may" AS')
    made = [live.init, Migration(name="20240102000000_replank", script=migration)]
    assert engine.difference_from_migrations(live.url, made, file) == []
    with psycopg.connect(live.copy) as app:
        app.execute(migration.encode())
    assert _shape(live.copy) == _shape(live.url)
    assert _permissions(live.copy) == [(["read"],)]
    # A ledger that is gone, as after scripts that were run by hand: names tell, but for the key that is gone
    with psycopg.connect(live.url, autocommit=True) as app:
        app.execute("DELETE FROM replank.script")
    lost = set(file.splitlines()) - set(live.file(plan).splitlines())
    assert [line.strip() for line in lost] == ['@@index([orderId], map: "Line_orderId_idx")']
