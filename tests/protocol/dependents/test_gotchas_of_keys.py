"""Traps of replica identities and of foreign keys that lead to a replaced table. The numbers are those of the list."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors
from support.oracles.journal_oracle import foreign_keys_hold
from support.oracles.oracle import differences, live, one, past
from support.runs.harness import Rebuild, Url, table

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

NAMED = """
CREATE TABLE t (id text NOT NULL, part int NOT NULL, n int, CONSTRAINT "the Key" UNIQUE (part, id));
CREATE UNIQUE INDEX t_identity ON t (id, part);
ALTER TABLE t REPLICA IDENTITY USING INDEX t_identity;
INSERT INTO t SELECT gen_random_uuid()::text, g % 3, g FROM generate_series(1, 200) AS g;
CREATE PUBLICATION changes FOR TABLE t
"""
MARKED = (
    "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = 't'::regclass AND i.indisreplident"
)
HASH = {"by": "hash", "column": "id", "count": 3}


@pytest.mark.parametrize("partition", [None, HASH])
def test_gotcha_37_published_updates_go_on_by_the_same_index(
    app: psycopg.Connection, begin: Begin, partition: dict[str, Any] | None
) -> None:
    """Without an index that names its rows the server refuses every UPDATE of a published table without a key."""
    for statement in NAMED.split(";\n"):
        app.execute(statement.encode())
    rebuild = begin(table("t", "id", **({} if partition is None else {"partition": partition})))
    rebuild.ready()
    app.execute("UPDATE t SET n = n + 1000 WHERE n % 5 = 0")
    rebuild.swap()
    # From the first moment on, before the run has ended
    app.execute("UPDATE t SET n = -n WHERE n < 20")
    app.execute("DELETE FROM t WHERE n = 21")
    rebuild.finish()
    assert one(app, MARKED) == "t_identity"
    assert one(app, "SELECT relreplident::text FROM pg_class WHERE oid = 't'::regclass") == "i"
    app.execute("UPDATE t SET n = n + 1, id = gen_random_uuid() WHERE n = 33")
    leaf = one(
        app, "SELECT coalesce(min(inhrelid), 't'::regclass)::regclass FROM pg_inherits WHERE inhparent = 't'::regclass"
    )
    assert one(app, "SELECT relreplident::text FROM pg_class WHERE oid = %s::regclass", leaf) == "i"
    if partition is None:
        app.execute("DROP INDEX t_identity")
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="replica identity"):
            app.execute("UPDATE t SET n = 5")


FAMILY = """
CREATE TABLE plain (id text PRIMARY KEY, n int);
CREATE TABLE parted (id text PRIMARY KEY, n int) PARTITION BY HASH (id);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE divided (id text PRIMARY KEY, n int);
CREATE TABLE merged (id text PRIMARY KEY, n int) PARTITION BY HASH (id);
CREATE TABLE merged_0 PARTITION OF merged FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO plain SELECT md5(g::text)::uuid::text, g FROM generate_series(1, 60) AS g;
INSERT INTO parted SELECT * FROM plain;
INSERT INTO divided SELECT * FROM plain;
INSERT INTO merged SELECT * FROM plain;
CREATE TABLE child (id int PRIMARY KEY, a text REFERENCES plain ON DELETE CASCADE,
  b text REFERENCES parted ON DELETE CASCADE,
  c text REFERENCES divided ON DELETE CASCADE, d text REFERENCES merged ON DELETE CASCADE);
INSERT INTO child SELECT n, id, id, id, id FROM plain;
CREATE TABLE numbered (n int PRIMARY KEY, word text, plain_n int);
INSERT INTO numbered SELECT g, 'w' FROM generate_series(1, 9) AS g;
CREATE TABLE outside (n int REFERENCES numbered ON UPDATE CASCADE);
INSERT INTO outside SELECT n FROM numbered
"""
PLANNED = (
    table("plain", "id"),
    table("parted", "id"),
    table("divided", "id", partition={"by": "hash", "column": "id", "count": 3}),
    table("merged", "id", partition={"by": "none"}),
    table("child", "a", "b", "c", "d"),
    table("numbered", method="rebuild", add=[{"name": "x", "type": "int", "default": "1"}]),
)
ASTRAY = """
SELECT conrelid::regclass || '.' || conname || ' → ' || confrelid::regclass FROM pg_constraint
 WHERE contype = 'f' AND conrelid::regclass::text !~ '^replank' AND confrelid::regclass::text ~ '^replank'
"""


def test_gotcha_41_foreign_keys_lead_to_the_new_tables(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    """They would follow the renamed old table: also those of tables outside of the plan, and to partitioned ones."""
    for statement in FAMILY.split(";\n"):
        app.execute(statement.encode())
    keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0"
    keys += " AND conrelid::regclass::text !~ '^replank'"
    before = one(app, keys)
    rebuild = begin(*PLANNED)
    rebuild.ready()
    app.execute("DELETE FROM plain WHERE n = 5")
    rebuild.finish()
    for each in PLANNED:
        assert differences(app, past(each.name), live(each.name), set(each.columns), without={"x"}) == []
    assert app.execute(ASTRAY.encode()).fetchall() == []
    assert one(app, keys) == before
    assert foreign_keys_hold(database) == []
    for n, (column, parent) in enumerate(zip("abcd", ("plain", "parted", "divided", "merged"), strict=True), start=10):
        with pytest.raises(errors.ForeignKeyViolation):
            app.execute(f"UPDATE child SET {column} = gen_random_uuid() WHERE id = 9".encode())  # noqa: S608
        app.execute(f"DELETE FROM {parent} WHERE n = {n}".encode())  # noqa: S608
        assert one(app, "SELECT count(*) FROM child WHERE id = %s", n) == 0
    app.execute("UPDATE numbered SET n = 100 WHERE n = 1")
    assert one(app, "SELECT count(*) FROM outside WHERE n = 100") == 1
