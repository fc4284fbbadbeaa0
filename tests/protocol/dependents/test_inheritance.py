"""Classic inheritance: a family is rebuilt together, and each table is what it was, alone and with its children."""

import random
from collections.abc import Callable, Collection

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.oracles.oracle import Name, live, one, past
from support.oracles.returning import catalogue, changed, everything_left, go_back
from support.runs.harness import Rebuild

from monitoring.catalogue_diff.changes import catalogue_changes
from producer.rollback.finish import Finishing
from protocol.dependents.family import MEMBERS, PLANNED, script
from replank.errors import NeedsOperator
from replank.values.states import RunState, TableState

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

Begin = Callable[..., Rebuild]

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
    columns = [SQL("{}::text::uuid" if column in converted else "{}").format(Identifier(column)) for (column,) in found]
    asked = SQL("SELECT ROW({})::text FROM {}{} AS t ORDER BY 1").format(
        SQL(", ").join(columns), SQL("ONLY " if only else ""), Identifier(*name)
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
    script(app, WRITES.replace("{no}", str(number)))


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
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
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
    script(app, "TRUNCATE ONLY stray;\nTRUNCATE pet CASCADE")
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
    script(app, "UPDATE being SET n = n + 10000 WHERE n BETWEEN 6 AND 8;\nTRUNCATE ONLY stray")
    app.execute("CREATE TABLE cousin () INHERITS (animal)")
    with pytest.raises(NeedsOperator, match="inheritance child cousin of public"):
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
    finishing.finish(finishing.run_to_finish())
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
