"""All that hangs on tables is there again after the way back, and what was made meanwhile is named."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import count, live, one
from support.oracles.returning import catalogue, changed, everything_left, go_back, keep, unlike
from support.runs.harness import Rebuild, table

from protocol.dependents.hanging import PLANNED, SCHEMAS
from replank.errors import NeedsOperator

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

Begin = Callable[..., Rebuild]

CHANGES = """
INSERT INTO person (n, name, tenant) SELECT g, 'new ' || g, 1 FROM generate_series(1001, 1020) AS g;
INSERT INTO orders (person_id, n, note) SELECT id, n, 'late' FROM person WHERE n > 1000;
UPDATE person SET name = upper(name) WHERE n < 30;
DELETE FROM orders WHERE n BETWEEN 310 AND 320;
UPDATE event SET at = date '2026-11-11' WHERE n < 10;
DELETE FROM event_a WHERE n BETWEEN 50 AND 60;
INSERT INTO event VALUES (gen_random_uuid(), '2026-12-12', 999, 'k');
UPDATE "Side %"."Odd ""name"" x" SET word = word || '!' WHERE n % 2 = 0
"""
# What every row says, whatever type its ids have.
SEEN = {
    "person": ["n", "name", "tenant", "id::text"],
    "orders": ["n", "note", "at", "id::text", "person_id::text"],
    "event": ["n", "kind", "at", "id::text"],
    "deleted": ["who", "id"],
}


@pytest.mark.usefixtures("everything")
def test_everything_that_hangs_on_tables_is_as_it_was(app: psycopg.Connection, begin: Begin, database: str) -> None:
    before = catalogue(database, SCHEMAS)
    rebuild = begin(*PLANNED)
    rebuild.finish()
    for statement in CHANGES.split(";\n"):
        app.execute(statement.encode())
    for name in SEEN:
        keep(app, live(name), name)
    go_back(rebuild)
    after = catalogue(database, SCHEMAS)
    assert changed(before, after) == {}
    # No trigger or rule of the past tables has fired because of us.
    assert {name: unlike(app, live(name), name, said) for name, said in SEEN.items()} == {name: [] for name in SEEN}
    wrong = (
        "SELECT count(*) FROM reports.totals t FULL JOIN (SELECT p.id, count(o.id) AS orders FROM person p"
        " LEFT JOIN orders o ON o.person_id = p.id GROUP BY 1) w USING (id) WHERE t.orders IS DISTINCT FROM w.orders"
    )
    assert one(app, wrong) == 0
    assert one(app, "SELECT relispopulated FROM pg_class WHERE relname = 'unfilled'") is False
    assert one(app, "SELECT count(*) FROM reports.rich_people WHERE order_id IS NOT NULL") != 0
    assert one(app, "SELECT tools.shown(p) FROM person p WHERE n = 1001") == "new 1001 of 1"
    app.execute("INSERT INTO reports.rich_people (n, name) VALUES (7777, 'by a trigger')")
    assert one(app, "SELECT count(*) FROM person WHERE n = 7777") == 1
    assert everything_left(app) == []


TRIGGERED = """
CREATE TABLE t (id text PRIMARY KEY, n int, touched int NOT NULL DEFAULT 0);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.touched := coalesce(OLD.touched, 0) + 1; RETURN NEW; END $$;
CREATE TRIGGER usual BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER always BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE t ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER replica BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE t ENABLE REPLICA TRIGGER replica;
CREATE TRIGGER off BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE t DISABLE TRIGGER off;
INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 40) AS g;
CREATE TABLE part (id text, n int, touched int NOT NULL DEFAULT 0, PRIMARY KEY (id, n)) PARTITION BY RANGE (n);
CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (50);
CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (50) TO (1000);
CREATE TRIGGER usual BEFORE INSERT OR UPDATE ON part FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE part_high DISABLE TRIGGER usual;
INSERT INTO part SELECT gen_random_uuid()::text, g FROM generate_series(1, 99) AS g
"""


def test_triggers_do_not_fire_and_keep_their_states(app: psycopg.Connection, begin: Begin, database: str) -> None:
    for statement in TRIGGERED.split(";\n"):
        app.execute(statement.encode())
    before = catalogue(database, ["public"])
    rebuild = begin(table("t", "id"), table("part", "id"))
    rebuild.finish()
    app.execute("UPDATE t SET n = -n WHERE n < 11")
    app.execute("INSERT INTO t (id, n) VALUES (gen_random_uuid(), 100)")
    app.execute("UPDATE part SET n = n + 1 WHERE n = 99")
    app.execute("UPDATE part_low SET n = 0 WHERE n = 1")
    seen = "SELECT 't', n, touched FROM t UNION ALL SELECT 'part', n, touched FROM part ORDER BY 1, 2"
    expected = app.execute(seen).fetchall()
    go_back(rebuild)
    assert app.execute(seen).fetchall() == expected
    assert changed(before, catalogue(database, ["public"])) == {}


OUTSIDE = """
CREATE TABLE t (id text PRIMARY KEY, n int UNIQUE, out_n int);
CREATE TABLE outside (n int PRIMARY KEY, t_n int REFERENCES t (n) ON UPDATE CASCADE);
INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 40) AS g;
INSERT INTO outside SELECT g, g FROM generate_series(1, 20) AS g;
ALTER TABLE t ADD CONSTRAINT out FOREIGN KEY (out_n) REFERENCES outside;
COMMENT ON CONSTRAINT out ON t IS 'leads out';
ALTER TABLE outside ADD CONSTRAINT loose FOREIGN KEY (n) REFERENCES t (n) ON UPDATE CASCADE NOT VALID;
CREATE TABLE counted (id text PRIMARY KEY, s serial, i int GENERATED ALWAYS AS IDENTITY, b bigserial,
  g text GENERATED ALWAYS AS (lower(note)) STORED, note text);
INSERT INTO counted (id, note) SELECT gen_random_uuid()::text, 'N' || g FROM generate_series(1, 10) AS g
"""


def test_keys_to_and_from_outside_and_sequences(app: psycopg.Connection, begin: Begin, database: str) -> None:
    for statement in OUTSIDE.split(";\n"):
        app.execute(statement.encode())
    before = catalogue(database, ["public"])
    rebuild = begin(table("t", "id"), table("counted", "id"))
    rebuild.finish()
    app.execute("UPDATE t SET n = n + 1000 WHERE n = 3")
    app.execute("INSERT INTO outside VALUES (21, 22)")
    app.execute("UPDATE t SET out_n = 21 WHERE n = 5")
    app.execute("INSERT INTO counted (id, note) SELECT gen_random_uuid(), 'M' || g FROM generate_series(1, 5) AS g")
    app.execute("UPDATE counted SET note = 'X' WHERE i = 2")
    seen = app.execute("SELECT s, i, b, g, note FROM counted ORDER BY i").fetchall()
    go_back(rebuild)
    assert changed(before, catalogue(database, ["public"])) == {}
    assert app.execute("SELECT s, i, b, g, note FROM counted ORDER BY i").fetchall() == seen
    app.execute("INSERT INTO counted (id, note) VALUES ('x', 'after')")
    assert app.execute("SELECT s, i, b FROM counted WHERE id = 'x'").fetchall() == [(16, 16, 16)]
    assert one(app, "SELECT t_n FROM outside WHERE n = 1003") == 1003
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app.execute("DELETE FROM outside WHERE n = 21")


def test_tables_of_several_schemas(app: psycopg.Connection, begin: Begin, database: str) -> None:
    app.execute('CREATE SCHEMA "Side %"; CREATE SCHEMA replank_past_like')
    app.execute('CREATE TABLE "Side %"."a %s" (id text PRIMARY KEY, n int)')
    app.execute('CREATE TABLE b (id text PRIMARY KEY, a text REFERENCES "Side %"."a %s")')
    app.execute('INSERT INTO "Side %"."a %s" SELECT gen_random_uuid()::text, g FROM generate_series(1, 20) AS g')
    app.execute('INSERT INTO b SELECT gen_random_uuid()::text, id FROM "Side %"."a %s"')
    before = catalogue(database, ["public", "Side %"])
    rebuild = begin(table("a %s", "id", schema="Side %"), table("b", "id", "a"))
    rebuild.finish()
    app.execute('INSERT INTO "Side %"."a %s" VALUES (gen_random_uuid(), 21)')
    app.execute('INSERT INTO b SELECT gen_random_uuid(), id FROM "Side %"."a %s" WHERE n = 21')
    go_back(rebuild)
    assert changed(before, catalogue(database, ["public", "Side %"])) == {}
    assert count(app, live("b")) == count(app, live("a %s", "Side %")) == 21
    assert everything_left(app) == ["replank_past_like"]


@pytest.mark.parametrize(
    ("made", "undone", "named"),
    [
        ("CREATE VIEW fresh AS SELECT id FROM t", "DROP VIEW fresh", "view public.fresh"),
        ("ALTER TABLE t ADD COLUMN extra int", "ALTER TABLE t DROP COLUMN extra", "column extra of public.t"),
        ("ALTER TABLE t DROP COLUMN n", None, "dropped column n of public.t"),
        ("CREATE TABLE r (id uuid REFERENCES t)", "DROP TABLE r", "foreign key r_id_fkey of public.r"),
        ("CREATE RULE silent AS ON DELETE TO t DO ALSO NOTHING", "DROP RULE silent ON t", "rule silent of public.t"),
        ("ALTER TABLE t ADD CHECK (n > 0)", "ALTER TABLE t DROP CONSTRAINT t_n_check", "constraint t_n_check"),
    ],
)
def test_what_was_made_since_the_cutover_is_named(
    app: psycopg.Connection, begin: Begin, made: str, undone: str | None, named: str
) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 9) AS g")
    rebuild = begin(table("t", "id"))
    rebuild.finish()
    app.execute(made.encode())
    with pytest.raises(NeedsOperator, match=named):
        go_back(rebuild)
    assert one(app, "SELECT pg_typeof(id)::text FROM t LIMIT 1") == "uuid"
    if undone is not None:
        app.execute(undone.encode())
        go_back(rebuild)
        assert everything_left(app) == []
