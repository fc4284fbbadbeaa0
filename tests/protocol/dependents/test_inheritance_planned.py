"""What a plan may say of tables that inherit, and what it may not."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import on, one
from support.oracles.returning import go_back
from support.runs.harness import Rebuild, table

from protocol.dependents.family import PLANNED
from replank.errors import NeedsOperator, WrongUse

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]


@pytest.mark.parametrize("missing", ["being", "animal", "owned"])
def test_a_plan_with_a_part_of_a_family_is_refused(family: psycopg.Connection, begin: Begin, missing: str) -> None:
    app = family
    app.execute("ALTER TABLE plant DROP CONSTRAINT plant_eaten_by_fkey")
    app.execute("ALTER TABLE owned DROP CONSTRAINT owned_owner_id_fkey")
    with pytest.raises(NeedsOperator, match=rf"family_incomplete .*public\.{missing}, which the plan does not contain"):
        begin(*[one_table for one_table in PLANNED if one_table.name != missing])


def test_a_family_with_a_foreign_table_is_refused(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE FOREIGN DATA WRAPPER nothing")
    app.execute("CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing")
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    app.execute("CREATE FOREIGN TABLE far () INHERITS (t) SERVER elsewhere")
    with pytest.raises(NeedsOperator, match=r"public\.far \(a foreign table\).*\n.*NO INHERIT"):
        begin(table("t", "id"))


def test_what_a_family_would_have_in_two_ways_is_refused(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("CREATE TABLE c (PRIMARY KEY (id)) INHERITS (t)")
    alone = {"method": "rebuild"}
    with pytest.raises(NeedsOperator, match=r"family_torn .*t\.id becomes uuid, and public\.c.* have it as text"):
        begin(table("t", "id"), table("c", **alone))
    with pytest.raises(NeedsOperator, match=r"family_torn .*t\.id is text, and public\.c.* have it as uuid"):
        begin(table("t", **alone), table("c", "id"))
    added = {"add": [{"name": "extra", "type": "int"}]}
    with pytest.raises(
        NeedsOperator, match=r"family_torn .*t\.extra .*public\.c, which inherits it, would not have it"
    ):
        begin(table("t", "id", **added), table("c", "id"))
    with pytest.raises(WrongUse, match="c cannot be filled in place: inheritance joins it"):
        begin(table("t", "id"), table("c", method="backfill", **added))
    by_n = {"partition": {"by": "hash", "column": "id", "count": 4}}
    with pytest.raises(NeedsOperator, match=r"family_partitioned public\.t"):
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


def test_rows_kept_aside_are_those_of_one_table(app: psycopg.Connection, begin: Begin) -> None:
    """A parent and its child may have rows of one key: what leads to the parent's follows that one alone."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, code text UNIQUE)")
    app.execute("CREATE TABLE c (PRIMARY KEY (id)) INHERITS (t)")
    app.execute("CREATE TABLE follows (id text PRIMARY KEY, t_id text REFERENCES t)")
    app.execute("CREATE TABLE nulled (id text PRIMARY KEY, t_code text REFERENCES t (code))")
    app.execute("INSERT INTO t VALUES ('bad', 'one'), (gen_random_uuid(), 'two')")
    app.execute("INSERT INTO c VALUES ('bad', 'two'), ('worse', 'three'), (gen_random_uuid(), 'four')")
    app.execute("INSERT INTO follows SELECT gen_random_uuid(), id FROM ONLY t")
    app.execute("INSERT INTO nulled SELECT gen_random_uuid(), code FROM ONLY t")
    aside = {"columns": [{"name": "id", "to": "uuid", "on_invalid": "quarantine"}]}
    follows = [{"name": "id", "to": "uuid"}, {"name": "t_id", "to": "uuid", "on_invalid": "quarantine"}]
    rebuild = begin(table("t", **aside), table("c", **aside), table("follows", columns=follows), table("nulled", "id"))
    rebuild.ready()
    app.execute("UPDATE t SET id = 'worst' WHERE id = 'worse'")
    rebuild.finish()
    assert app.execute("SELECT tableoid::regclass::text, code FROM t ORDER BY 1").fetchall() == [
        ("c", "four"),
        ("t", "two"),
    ]
    assert one(app, "SELECT count(*) FROM follows") == 1
    app.execute("UPDATE t SET code = 'five' WHERE code = 'four'")
    go_back(rebuild)
    found = app.execute(
        "SELECT tableoid::regclass::text, id, code FROM t WHERE length(id) < 9 ORDER BY 1, 2"
    ).fetchall()
    assert found == [("c", "bad", "two"), ("c", "worst", "three"), ("t", "bad", "one")]
    assert one(app, "SELECT count(*) FROM t WHERE code = 'five'") == 1
