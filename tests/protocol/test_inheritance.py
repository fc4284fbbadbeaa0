"""Classic inheritance: a family is rebuilt together, and each table is what it was, alone and with its children."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence

import psycopg
import pytest
from psycopg import sql

from monitoring.catalogue_diff import catalogue_changes
from producer.finishing import Finishing
from replank.errors import NeedsPerson, WrongUse
from replank.states import RunState, TableState

from .harness import Rebuild, Table, table
from .oracle import Name, live, on, one, past
from .returning import catalogue, changed, everything_left, go_back

Begin = Callable[..., Rebuild]

FAMILY = """
CREATE TABLE being (id text PRIMARY KEY, n int NOT NULL DEFAULT 7, note text COLLATE "C" DEFAULT 'none',
  CONSTRAINT n_sane CHECK (n < 1000000), CONSTRAINT alone CHECK (n <> 13) NO INHERIT);
COMMENT ON COLUMN being.note IS 'of anybody';
CREATE INDEX being_n ON being (n);
CREATE TABLE owned (owner_id text, since date NOT NULL DEFAULT '2020-01-01');
ALTER TABLE owned ADD COLUMN own_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
CREATE TABLE animal (legs int DEFAULT 4, PRIMARY KEY (id), CONSTRAINT few_legs CHECK (legs < 100)) INHERITS (being);
CREATE TABLE plant (height numeric, n int, twice int GENERATED ALWAYS AS (n * 2) STORED, UNIQUE (id),
  CONSTRAINT n_sane CHECK (n < 1000000)) INHERITS (being);
ALTER TABLE plant ADD PRIMARY KEY (id);
CREATE TABLE pet (name text UNIQUE, PRIMARY KEY (id)) INHERITS (animal, owned);
COMMENT ON COLUMN pet.note IS 'of a pet';
CREATE INDEX pet_name ON pet (lower(name));
ALTER TABLE being ADD COLUMN late text DEFAULT 'late';
CREATE TABLE stray (late text DEFAULT 'x', n int NOT NULL, id text PRIMARY KEY, note text COLLATE "C", own text,
  CONSTRAINT n_sane CHECK (n < 1000000));
ALTER TABLE stray INHERIT being;
ALTER TABLE being ADD CONSTRAINT old_ones CHECK (n > -5) NOT VALID;
CREATE TABLE visit (id text PRIMARY KEY, pet_id text REFERENCES pet ON DELETE CASCADE, at date);
ALTER TABLE plant ADD COLUMN eaten_by text REFERENCES animal;
ALTER TABLE owned ADD FOREIGN KEY (owner_id) REFERENCES visit ON DELETE SET NULL;
"""

ROWS = """
INSERT INTO being (id, n) SELECT gen_random_uuid(), g FROM generate_series(1, 12) AS g;
INSERT INTO animal (id, n) SELECT gen_random_uuid(), g FROM generate_series(101, 180) AS g;
INSERT INTO plant (id, n, eaten_by) SELECT gen_random_uuid(), g, (SELECT id FROM ONLY animal WHERE n = 101 + g % 5)
  FROM generate_series(201, 280) AS g;
INSERT INTO pet (id, n, name, own_key) SELECT gen_random_uuid(), g, 'pet ' || g, g FROM generate_series(301, 380) AS g;
INSERT INTO stray (id, n, own) SELECT gen_random_uuid(), g, 'own' FROM generate_series(401, 430) AS g;
INSERT INTO visit SELECT gen_random_uuid(), id, '2024-01-01' FROM ONLY pet WHERE n < 320;
INSERT INTO owned (owner_id) SELECT id FROM visit;
"""

MEMBERS: Mapping[str, Collection[str]] = {
    "being": {"id"},
    "owned": {"owner_id"},
    "animal": {"id"},
    "plant": {"id", "eaten_by"},
    "pet": {"id", "owner_id"},
    "stray": {"id"},
    "visit": {"id", "pet_id"},
}

PLANNED: Sequence[Table] = [table(name, *sorted(columns)) for name, columns in MEMBERS.items()]

WRITES = """
UPDATE being SET note = 'all {no}', n = n + 1 WHERE n % 7 = {no} % 7 AND n <> 12;
UPDATE ONLY being SET note = 'only {no}' WHERE n % 3 = 0;
UPDATE being SET id = gen_random_uuid() WHERE n BETWEEN 401 AND 403;
UPDATE owned SET since = since + 1 WHERE own_key % 4 = {no} % 4;
UPDATE pet SET name = name || '!' WHERE n % 5 = {no} % 5;
UPDATE animal SET legs = legs + 1 WHERE n % 6 = {no} % 6;
DELETE FROM being WHERE n % 41 = {no} AND id NOT IN (SELECT eaten_by FROM plant WHERE eaten_by IS NOT NULL);
DELETE FROM animal WHERE n = 310 + {no} OR n = 150 + {no};
INSERT INTO being (id, n) VALUES (gen_random_uuid(), 20 + {no});
INSERT INTO pet (id, n, name, own_key) VALUES (gen_random_uuid(), 390, 'new {no}', 5000 + {no});
INSERT INTO plant (id, n) VALUES (gen_random_uuid(), 290 + {no});
INSERT INTO visit SELECT gen_random_uuid(), id, '2024-02-02' FROM ONLY pet ORDER BY n DESC LIMIT 1;
UPDATE plant SET eaten_by = (SELECT id FROM ONLY animal ORDER BY n LIMIT 1) WHERE n % 9 = {no} % 9;
"""

INHERITED = """
SELECT c.relname, coalesce(a.attname, ''), a.attnum > 0 AND a.attislocal, a.attinhcount,
       ARRAY(SELECT p.relname::text FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
              WHERE i.inhrelid = c.oid ORDER BY i.inhseqno), obj_description(c.oid), col_description(c.oid, a.attnum)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
UNION ALL
SELECT c.relname, k.conname,
       -- from 18 on: whether a primary key's NOT NULL is also the table's own decides nothing
       k.conislocal OR (k.contype = 'n' AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary
                                                       AND k.conkey[1] = ANY (i.indkey::int2[]))),
       k.coninhcount, ARRAY[k.connoinherit::text], k.convalidated::text, NULL
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
 WHERE k.contype IN ('c', 'n') AND c.relnamespace = 'public'::regnamespace
ORDER BY 1, 2
"""


def _script(app: psycopg.Connection, text: str) -> None:
    for statement in text.split(";\n"):
        if statement.strip():
            app.execute(statement.encode())


def _inherited(app: psycopg.Connection) -> list[tuple[object, ...]]:
    """Links, and what is inherited or declared, of all tables of the application, by plain SQL."""
    return app.execute(INHERITED).fetchall()


def _rows(app: psycopg.Connection, name: Name, converted: Collection[str], *, only: bool) -> list[str]:
    """All rows of a table as text, `converted` columns as uuids; alone or with its children."""
    found = app.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attname",
        name,
    ).fetchall()
    columns = [
        sql.SQL("{}::text::uuid" if column in converted else "{}").format(sql.Identifier(column)) for (column,) in found
    ]
    asked = sql.SQL("SELECT ROW({})::text FROM {}{} AS t ORDER BY 1").format(
        sql.SQL(", ").join(columns), sql.SQL("ONLY " if only else ""), sql.Identifier(*name)
    )
    return [row for (row,) in app.execute(asked).fetchall()]


def _same(app: psycopg.Connection, one_side: Callable[[str], Name] = past) -> None:
    """Every table holds what its past one does, by itself and through its parents."""
    for name, converted in MEMBERS.items():
        for only in (True, False):
            before, after = (_rows(app, side(name), converted, only=only) for side in (one_side, live))
            assert before == after, (name, only)


def _write(app: psycopg.Connection, number: int) -> None:
    """Writes through parents and children, key changes, and rows that come and go."""
    _script(app, WRITES.replace("{no}", str(number)))


@pytest.fixture
def family(app: psycopg.Connection) -> psycopg.Connection:
    _script(app, FAMILY)
    _script(app, ROWS)
    return app


def test_a_family_changes_places_together(family: psycopg.Connection, begin: Begin, database: str) -> None:
    """Written to at every stage; then every table is as it was, and the catalogue says so."""
    app, before, whole = family, _inherited(family), catalogue(database, ["public"])
    rebuild = begin(*PLANNED)
    assert len(rebuild.sets) == 1
    for number, state in enumerate((TableState.CAPTURED, TableState.COPYING, TableState.INDEXING), start=1):
        rebuild.until(state)
        _write(app, number)
    rebuild.ready()
    _write(app, 4)
    rebuild.finish()
    _same(app)
    assert _inherited(app) == before
    differing = changed(whole, catalogue(database, ["public"]))
    assert not [line for line in differing.values() if "uuid" not in f"{line}"], differing
    assert not [change for change in catalogue_changes(rebuild.connection, rebuild.run) if not change.explained]
    members = app.execute("SELECT DISTINCT tableoid::regclass::text FROM being ORDER BY 1").fetchall()
    assert [name for (name,) in members] == ["animal", "being", "pet", "plant", "stray"]
    estimate = "SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND tablename = 'being' AND inherited"
    assert one(app, estimate) != 0
    app.execute("ALTER TABLE being DROP COLUMN late, DROP CONSTRAINT n_sane")
    left = app.execute("SELECT attrelid::regclass::text FROM pg_attribute WHERE attname = 'late' ORDER BY 1").fetchall()
    assert [name for (name,) in left if not name.startswith("replank")] == ["stray"]


def test_a_family_goes_back_before_the_cutover(family: psycopg.Connection, begin: Begin, database: str) -> None:
    """Also where an attempt at the cutover has joined the next tables."""
    app, before = family, catalogue(database, ["public"])
    rebuild = begin(*PLANNED)
    rebuild.ready()
    app.execute("CREATE TABLE cousin () INHERITS (animal)")
    assert rebuild.settle().state is RunState.NEEDS_PERSON
    assert "inheritance by public.cousin" in rebuild.why()
    app.execute("DROP TABLE cousin")
    _write(app, 1)
    go_back(rebuild)
    assert changed(before, catalogue(database, ["public"])) == {}
    assert everything_left(app) == []


def test_a_missed_cutover_is_made_later(family: psycopg.Connection, begin: Begin, other: psycopg.Connection) -> None:
    """Next tables that inherit already are drained and compared one by one."""
    app = family
    rebuild = begin(*PLANNED)
    rebuild.ready()
    other.execute("SELECT count(*) FROM plant")
    assert not rebuild.try_to_swap()
    other.rollback()
    _write(app, 2)
    _script(app, "TRUNCATE ONLY stray;\nTRUNCATE pet CASCADE")
    rebuild.finish()
    _same(app)


def test_truncated_parents_take_their_children_along(family: psycopg.Connection, begin: Begin) -> None:
    """Before, and after the cutover; TRUNCATE ONLY leaves the children as they are."""
    app = family
    rebuild = begin(*PLANNED)
    rebuild.until(TableState.INDEXING)
    app.execute("TRUNCATE ONLY being")
    rebuild.ready()
    app.execute("TRUNCATE animal, visit, owned, plant CASCADE")
    app.execute("INSERT INTO pet (id, n, name, own_key) VALUES (gen_random_uuid(), 1, 'first', 1)")
    rebuild.finish()
    _same(app)
    assert [one(app, f"SELECT count(*) FROM {name}") for name in ("animal", "ONLY being", "stray")] == [1, 0, 30]  # noqa: S608
    app.execute("TRUNCATE being CASCADE")
    app.execute("INSERT INTO animal (id, n) VALUES (gen_random_uuid(), 2)")
    kept = app.execute("SELECT tableoid::regclass::text, n FROM being").fetchall()
    go_back(rebuild)
    assert app.execute("SELECT tableoid::regclass::text, n FROM being").fetchall() == kept == [("animal", 2)]


def test_a_family_goes_back_after_the_cutover(family: psycopg.Connection, begin: Begin, database: str) -> None:
    """With everything that was written through parents and children since."""
    app, before, links = family, catalogue(database, ["public"]), _inherited(family)
    rebuild = begin(*PLANNED)
    rebuild.ready()
    _write(app, 1)
    rebuild.finish()
    _write(app, 2)
    _write(app, 3)
    _script(app, "UPDATE being SET n = n + 10000 WHERE n BETWEEN 6 AND 8;\nTRUNCATE ONLY stray")
    app.execute("CREATE TABLE cousin () INHERITS (animal)")
    with pytest.raises(NeedsPerson, match="inheritance child cousin of public"):
        go_back(rebuild)
    app.execute("DROP TABLE cousin")
    expected = {name: _rows(app, live(name), converted, only=True) for name, converted in MEMBERS.items()}
    go_back(rebuild)
    assert {name: _rows(app, live(name), converted, only=True) for name, converted in MEMBERS.items()} == expected
    assert changed(before, catalogue(database, ["public"])) == {}
    assert _inherited(app) == links
    assert everything_left(app) == []


def test_finish_drops_a_family_of_past_tables(family: psycopg.Connection, begin: Begin) -> None:
    rebuild = begin(*PLANNED)
    rebuild.finish()
    said: list[str] = []
    finishing = Finishing(
        connection=rebuild.connection, say=said.append, sleep=lambda _: None, random_source=random.Random(1)
    )
    finishing.finish(finishing.the_run())
    assert one(family, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank\\_%'") == 0
    assert one(family, "SELECT count(*) FROM being") == 12 + 80 * 3 + 30


def test_views_over_a_parent_see_all_of_the_new_rows(family: psycopg.Connection, begin: Begin) -> None:
    """Materialized ones are filled before the swap, from next tables that inherit already."""
    app = family
    app.execute("CREATE VIEW beings AS SELECT id, n FROM being WHERE n > 0")
    app.execute("CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM beings")
    wanted = one(app, "SELECT count(*) FROM being")
    begin(*PLANNED).finish()
    assert one(app, "SELECT count(*) FROM beings") == one(app, "SELECT n FROM counted") == wanted


@pytest.mark.parametrize("missing", ["being", "animal", "owned"])
def test_a_plan_with_a_part_of_a_family_is_refused(family: psycopg.Connection, begin: Begin, missing: str) -> None:
    app = family
    app.execute("ALTER TABLE plant DROP CONSTRAINT plant_eaten_by_fkey")
    app.execute("ALTER TABLE owned DROP CONSTRAINT owned_owner_id_fkey")
    with pytest.raises(NeedsPerson, match=rf"family_incomplete .*public\.{missing}, which the plan does not name"):
        begin(*[one_table for one_table in PLANNED if one_table.name != missing])


def test_a_family_with_a_foreign_table_is_refused(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE FOREIGN DATA WRAPPER nothing")
    app.execute("CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing")
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    app.execute("CREATE FOREIGN TABLE far () INHERITS (t) SERVER elsewhere")
    with pytest.raises(NeedsPerson, match=r"public\.far \(a foreign table\).*\n.*NO INHERIT"):
        begin(table("t", "id"))


def test_what_a_family_would_have_in_two_ways_is_refused(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("CREATE TABLE c (PRIMARY KEY (id)) INHERITS (t)")
    alone = {"method": "rebuild"}
    with pytest.raises(NeedsPerson, match=r"family_torn .*t\.id becomes uuid, and public\.c.* have it as text"):
        begin(table("t", "id"), table("c", **alone))
    with pytest.raises(NeedsPerson, match=r"family_torn .*t\.id is text, and public\.c.* have it as uuid"):
        begin(table("t", **alone), table("c", "id"))
    added = {"add": [{"name": "extra", "type": "int"}]}
    with pytest.raises(NeedsPerson, match=r"family_torn .*t\.extra .*public\.c, which inherits it, would not have it"):
        begin(table("t", "id", **added), table("c", "id"))
    with pytest.raises(WrongUse, match="c cannot be filled in place: inheritance joins it"):
        begin(table("t", "id"), table("c", method="backfill", **added))
    by_n = {"partition": {"by": "hash", "column": "id", "count": 4}}
    with pytest.raises(NeedsPerson, match=r"family_partitioned public\.t"):
        begin(table("t", "id", **by_n), table("c", "id"))


def test_columns_are_added_and_filled_in_all_of_a_family(app: psycopg.Connection, begin: Begin) -> None:
    """What would be filled in place elsewhere is rebuilt here; a table of which nothing changes is rebuilt too."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int, at timestamptz)")
    app.execute("CREATE TABLE c (own text, PRIMARY KEY (id)) INHERITS (t)")
    app.execute("CREATE TABLE d (PRIMARY KEY (id)) INHERITS (c)")
    for name in ("t", "c", "d"):
        on(app, name, "INSERT INTO {t} (id, n) SELECT gen_random_uuid(), g FROM generate_series(1, 20) AS g")
    more = {"add": [{"name": "twice", "type": "int", "value": "live.n * 2", "not_null": True}]}
    filled = {"fill": [{"name": "at", "value": "'2024-01-01'::timestamptz", "on_update": "now()"}]}
    rebuild = begin(table("t", **more), table("c", **more, **filled), table("d", **more))
    rebuild.ready()
    app.execute("UPDATE t SET n = n + 100 WHERE n % 3 = 0")
    app.execute("UPDATE c SET n = n + 200 WHERE n % 4 = 0")
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM t WHERE twice = n * 2") == 60
    assert one(app, "SELECT count(*) FROM ONLY c WHERE at = '2024-01-01'") == 20
    assert one(app, "SELECT count(*) FROM t WHERE at IS NULL") == 40
    app.execute("UPDATE t SET n = 0, twice = 0 WHERE n % 5 = 0")
    assert one(app, "SELECT count(*) FROM ONLY c WHERE at > '2025-01-01'") == one(
        app, "SELECT count(*) FROM ONLY c WHERE n = 0"
    )
    go_back(rebuild)
    assert one(app, "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'twice'") == 0
    assert one(app, "SELECT count(*) FROM t WHERE n = 0") == 12
