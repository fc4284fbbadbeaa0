"""One of everything that can hang on a table, for tests to see it carried over."""

import psycopg
from support.runs.harness import table

TABLES = """
CREATE SCHEMA reports; CREATE SCHEMA "Side %"; CREATE SCHEMA tools;
CREATE TABLE unplanned (n int PRIMARY KEY, word text);
CREATE TABLE person (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, n int NOT NULL UNIQUE, name text NOT NULL,
  tenant int NOT NULL DEFAULT 1);
CREATE TABLE orders (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, person_id text NOT NULL REFERENCES person,
  n int NOT NULL, note text, at date NOT NULL DEFAULT '2026-01-01');
CREATE TABLE "Side %"."Odd ""name"" x" ("the id" text PRIMARY KEY, n int, word text);
CREATE TABLE event (id text, at date NOT NULL, n int, kind text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE event_a PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE "Side %".event_b PARTITION OF event DEFAULT;
CREATE TABLE deleted (id text, who text, at timestamptz);
INSERT INTO unplanned SELECT g, 'word ' || g FROM generate_series(1, 50) AS g;
INSERT INTO person (n, name, tenant) SELECT g, 'name ' || g, g % 3 FROM generate_series(1, 90) AS g;
INSERT INTO orders (person_id, n, note)
  SELECT id, g, CASE WHEN g % 4 = 0 THEN 'note ' || g END
    FROM generate_series(1, 400) AS g JOIN person ON person.n = g % 90 + 1;
INSERT INTO "Side %"."Odd ""name"" x" SELECT gen_random_uuid()::text, g, 'w' || g % 7 FROM generate_series(1, 60) AS g;
INSERT INTO event
  SELECT gen_random_uuid()::text, date '2026-03-01' + g, g, 'k' || g % 5 FROM generate_series(1, 200) AS g
"""

VIEWS = """
CREATE VIEW reports.people WITH (security_barrier) AS SELECT id, name, n FROM person WHERE tenant < 2;
CREATE VIEW reports.rich_people AS
  SELECT p.*, o.id AS order_id, o.note FROM reports.people p LEFT JOIN orders o ON o.person_id = p.id;
CREATE VIEW few WITH (check_option = local, security_invoker = true) AS SELECT id, n, name FROM person WHERE n < 20;
CREATE VIEW recent (number, "What's it", whole) AS SELECT n, upper(note), orders FROM orders WHERE note IS NOT NULL;
CREATE VIEW "Side %".joined AS SELECT x."the id", u.word, (SELECT count(*) FROM orders WHERE orders.n = x.n) AS many
  FROM "Side %"."Odd ""name"" x" x JOIN unplanned u USING (n);
CREATE VIEW of_leaf AS SELECT id, n FROM event_a;
CREATE VIEW deep AS WITH counted AS (SELECT person_id, count(*) AS c FROM orders GROUP BY 1)
  SELECT r.id, c.c FROM reports.rich_people r JOIN counted c ON c.person_id = r.id;
CREATE MATERIALIZED VIEW reports.totals WITH (fillfactor = 70) AS
  SELECT p.id, p.name, count(o.id) AS orders, 'a%s' AS sign
    FROM person p LEFT JOIN orders o ON o.person_id = p.id GROUP BY 1, 2;
CREATE UNIQUE INDEX totals_id ON reports.totals (id);
CREATE INDEX totals_orders ON reports.totals (orders DESC, lower(name)) WHERE orders > 2;
CLUSTER reports.totals USING totals_id;
ALTER INDEX reports.totals_orders ALTER COLUMN 2 SET STATISTICS 44;
ALTER MATERIALIZED VIEW reports.totals ALTER COLUMN name SET STATISTICS 55;
ALTER MATERIALIZED VIEW reports.totals ALTER COLUMN name SET STORAGE EXTERNAL;
CREATE STATISTICS reports.totals_st (mcv) ON name, orders FROM reports.totals;
CREATE MATERIALIZED VIEW above_totals AS SELECT id, orders FROM reports.totals WHERE orders > 3;
CREATE MATERIALIZED VIEW owned AS SELECT id, n FROM person;
CREATE MATERIALIZED VIEW unfilled AS SELECT id FROM event WITH NO DATA;
CREATE VIEW top AS SELECT a.id, d.c FROM above_totals a JOIN deep d ON d.id = a.id;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO person (n, name) VALUES (NEW.n, NEW.name); RETURN NEW; END $$;
CREATE TRIGGER instead INSTEAD OF INSERT ON reports.rich_people FOR EACH ROW EXECUTE FUNCTION instead();
COMMENT ON TRIGGER instead ON reports.rich_people IS 'a trigger''s';
CREATE RULE delete_recent AS ON DELETE TO recent DO INSTEAD DELETE FROM orders WHERE orders.n = OLD.number;
COMMENT ON RULE delete_recent ON recent IS 'a rule''s';
ALTER VIEW few ALTER COLUMN id SET DEFAULT gen_random_uuid()::text;
ALTER VIEW few ALTER COLUMN name SET DEFAULT 'few';
COMMENT ON VIEW few IS 'some 100 %s';
COMMENT ON COLUMN few.id IS 'the id''s';
COMMENT ON MATERIALIZED VIEW reports.totals IS 'sums';
COMMENT ON COLUMN reports.totals.orders IS 'how many';
COMMENT ON INDEX reports.totals_id IS 'by id';
COMMENT ON STATISTICS reports.totals_st IS 'of totals'
"""

OTHERS = """
CREATE RULE keep AS ON DELETE TO orders WHERE OLD.n > 300
  DO ALSO INSERT INTO deleted (id, who) VALUES (OLD.id, current_user);
CREATE RULE off AS ON UPDATE TO orders DO ALSO NOTHING;
ALTER TABLE orders DISABLE RULE off;
COMMENT ON RULE keep ON orders IS 'kept';
CREATE POLICY own ON orders FOR SELECT TO clerk
  USING (EXISTS (SELECT FROM person p WHERE p.id = orders.person_id AND p.tenant = 1));
CREATE POLICY strict ON orders AS RESTRICTIVE TO clerk, reader USING (n < 300) WITH CHECK (n > 0);
CREATE POLICY add ON orders FOR INSERT WITH CHECK (note IS NOT NULL);
COMMENT ON POLICY own ON orders IS 'one''s own';
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY unused ON event_a USING (n > 5);
CREATE PUBLICATION listed FOR TABLE person (id, name) WHERE (id IS NOT NULL), unplanned, event_a
  WITH (publish = 'insert, delete');
CREATE PUBLICATION rooted FOR TABLE event, orders WITH (publish_via_partition_root);
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA "Side %";
COMMENT ON PUBLICATION listed IS 'a list';
CREATE STATISTICS st_all ON n, name FROM person;
CREATE STATISTICS tools."St %" (ndistinct, dependencies) ON tenant, n, (n % 10) FROM person;
CREATE STATISTICS st_one ON (n % 7) FROM person;
CREATE STATISTICS st_event ON n, kind FROM event;
CREATE STATISTICS "Side %".st_leaf ON n, kind FROM "Side %".event_b;
ALTER STATISTICS tools."St %" SET STATISTICS 77;
COMMENT ON STATISTICS st_all IS 'all of it';
CREATE FUNCTION tools.shown(p person) RETURNS text LANGUAGE sql STABLE AS $$ SELECT p.name || ' of ' || p.tenant $$;
CREATE FUNCTION tools.all_orders(lowest int DEFAULT 5) RETURNS SETOF orders LANGUAGE sql STABLE
  BEGIN ATOMIC SELECT * FROM orders WHERE n >= lowest ORDER BY n; END;
CREATE FUNCTION tools.many(few[]) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN cardinality($1); END $$;
CREATE PROCEDURE tools.tidy(INOUT n int) LANGUAGE sql BEGIN ATOMIC SELECT count(*)::int FROM reports.totals; END;
COMMENT ON FUNCTION tools.shown IS 'how it is shown';
REVOKE ALL ON FUNCTION tools.shown FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tools.shown TO clerk WITH GRANT OPTION
"""

GRANTS = """
GRANT USAGE ON SCHEMA reports, tools TO clerk, reader;
GRANT CREATE ON SCHEMA reports, tools, public TO "the Owner";
GRANT SELECT ON person, orders, deleted TO "the Owner";
GRANT SELECT ON reports.people TO clerk WITH GRANT OPTION;
GRANT SELECT (id, orders) ON reports.totals TO reader;
GRANT INSERT (name), UPDATE (name) ON few TO clerk;
GRANT SELECT ON orders, recent, person TO clerk;
GRANT SELECT ON deep TO PUBLIC;
ALTER VIEW reports.people OWNER TO "the Owner";
ALTER MATERIALIZED VIEW owned OWNER TO "the Owner";
GRANT SELECT ON reports.totals TO "the Owner";
ALTER STATISTICS st_all OWNER TO "the Owner";
ALTER FUNCTION tools.all_orders OWNER TO "the Owner"
"""

PLANNED = (
    table("person", "id"),
    table("orders", "id", "person_id"),
    table('Odd "name" x', "the id", schema="Side %"),
    table("event", "id"),
)
SCHEMAS = ("public", "reports", "Side %", "tools")

CONVERTED = {
    "public.person.id", "public.orders.id", "public.orders.person_id", '"Side %"."Odd ""name"" x"."the id"',
    "public.event.id", "public.event_a.id", '"Side %".event_b.id',
    "reports.people.id", "reports.rich_people.id", "reports.rich_people.order_id", "public.few.id",
    '"Side %".joined."the id"', "public.of_leaf.id", "public.deep.id", "reports.totals.id", "public.above_totals.id",
    "public.unfilled.id", "public.top.id", "public.owned.id",
}  # fmt: skip


def run(app: psycopg.Connection, *scripts: str) -> None:
    for script in scripts:
        for statement in script.split(";\n"):
            app.execute(statement.encode())
