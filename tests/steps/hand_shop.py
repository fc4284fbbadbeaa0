"""A shop whose tables need all that the pass can do, and the plans for it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from support.runs.harness import Rebuild

from producer.planning.resolution import PlanFile
from producer.psql_scripts.compile_pass import compile_pass
from producer.psql_scripts.pass_tables import work_of
from producer.starting.begin import begin_or_resume
from producer.starting.preflight import prepare_or_refuse
from producer.steps.compiled import CompiledStep
from replank.plan.plan import Plan
from sql.session.connection import connect

SHOP = """
CREATE TABLE entry (row_id text NOT NULL, actor text NOT NULL);
CREATE TABLE person (id text PRIMARY KEY DEFAULT (gen_random_uuid())::text, "Name" text NOT NULL UNIQUE,
  touched int NOT NULL DEFAULT 0, no bigint GENERATED ALWAYS AS IDENTITY, CHECK ("Name" <> ''));
CREATE TABLE orders (id text PRIMARY KEY, person_id text NOT NULL REFERENCES person ON DELETE CASCADE,
  parent_id text REFERENCES orders, nr serial, at timestamptz NOT NULL, updated_at timestamptz, total numeric(9, 2));
CREATE INDEX orders_of ON orders (person_id) WHERE total > 0;
CREATE INDEX "Odd %" ON orders (at DESC NULLS LAST) INCLUDE (total);
CREATE STATISTICS orders_both ON person_id, nr FROM orders;
CREATE VIEW recent AS SELECT o.id, p."Name" FROM orders o JOIN person p ON p.id = o.person_id;
CREATE MATERIALIZED VIEW totals AS SELECT person_id, sum(total) AS total FROM orders GROUP BY 1;
CREATE UNIQUE INDEX totals_key ON totals (person_id);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER off BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE person DISABLE TRIGGER off;
CREATE TABLE note (id int PRIMARY KEY, text text, made date NOT NULL, kind text);
CREATE INDEX ON note (made);
COMMENT ON TABLE orders IS 'what was ordered';
INSERT INTO person (id, "Name")
  SELECT upper(md5('p' || n)::uuid::text), 'Person ' || n FROM generate_series(1, 40) AS n;
INSERT INTO orders (id, person_id, at, updated_at, total)
  SELECT md5('o' || n)::uuid::text, upper(md5('p' || 1 + n % 40)::uuid::text),
         timestamptz '2026-01-01' + n * interval '9 hours',
         CASE WHEN n % 2 = 0 THEN timestamptz '2026-06-01' END, n FROM generate_series(1, 300) AS n;
UPDATE orders SET parent_id = md5('o1')::uuid::text WHERE nr % 7 = 0;
INSERT INTO entry SELECT id, 'actor ' || nr % 3 FROM orders WHERE nr % 2 = 0;
INSERT INTO note
  SELECT n, 'note ' || n, date '2026-01-01' + n, CASE WHEN n % 3 = 0 THEN 'old' END FROM generate_series(1, 200) AS n;
REFRESH MATERIALIZED VIEW totals;
"""

UUIDS: dict[str, Any] = {
    "person": {"columns": [{"name": "id", "to": "uuid"}]},
    "orders": {"columns": [{"name": name, "to": "uuid"} for name in ("id", "person_id", "parent_id")]},
}

AUDIT: dict[str, Any] = {
    "orders": {
        "join": [{"name": "who", "query": "SELECT row_id, actor FROM public.entry", "on": "who.row_id = live.id"}],
        "add": [
            {"name": "created_by", "type": "text", "value": "who.actor"},
            {"name": "revision", "type": "integer", "default": "1", "not_null": True, "on_update": "OLD.revision + 1"},
        ],
        "fill": [{"name": "updated_at", "value": "live.at", "not_null": True, "on_update": "now()"}],
    },
    "note": {
        "method": "backfill",
        "add": [{"name": "code", "type": "text", "value": "'n' || live.id", "not_null": True, "unique": True}],
        "fill": [{"name": "kind", "value": "upper(live.text)", "default": "'new'", "not_null": True}],
    },
}

PARTS: dict[str, Any] = {"orders": {"partition": {"by": "hash", "column": "id", "count": 3}}}

BY_DATE: dict[str, Any] = {
    "note": {
        "partition": {
            "by": "range",
            "column": "made",
            "bounds": ["2026-01-01", "2026-04-01", "2026-09-01"],
            "consent": ["uniqueness"],
        }
    }
}


def plan_of(database: str, *parts: dict[str, Any], off: Sequence[str] = (), **options: Any) -> Plan:
    """A plan that asks for these parts of each table."""
    names = dict.fromkeys(name for part in parts for name in part)
    tables = [{"name": name, **{k: v for part in parts for k, v in part.get(name, {}).items()}} for name in names]
    steps = {"off": list(off)}
    said = {"database": {"name": database}, "tables": tables, "steps": steps, "options": options}
    return Plan.model_validate(said)


def compile_by_hand(url: str, plan: Plan) -> list[CompiledStep]:
    """Steps 08, 09, 10."""
    with connect(url, name="test") as connection:
        file = PlanFile(plan=plan, source="plan.toml", text="")
        return compile_pass(connection, work_of(connection, prepare_or_refuse(connection, file)))


def written(steps: Sequence[CompiledStep], folder: Path) -> list[Path]:
    """Forward in their order, then back in theirs."""
    made = [each.forward for each in steps] + [each.back for each in reversed(steps)]
    for script in made:
        (folder / f"{script.name}.sql").write_text(script.text)
    return [folder / f"{script.name}.sql" for script in made]


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(statement.encode())


def name_of(url: str) -> str:
    with psycopg.connect(url) as session:
        return session.info.dbname


def type_of(url: str, table: str, column: str = "id") -> str:
    """Empty where there is no such column."""
    with psycopg.connect(url) as session:
        found = session.execute(
            "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
            " AND NOT attisdropped",
            [table, column],
        ).fetchone()
    return "" if found is None else str(found[0])


def run_to_its_end(url: str, plan: Plan) -> Rebuild:
    with connect(url, name="test") as connection:
        begin_or_resume(connection, PlanFile(plan=plan, source="plan.toml", text=""), hold_cutover=False)
    rebuild = Rebuild.attach(url)
    rebuild.finish()
    return rebuild
