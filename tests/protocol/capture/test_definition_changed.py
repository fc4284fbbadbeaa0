"""Somebody changes a planned table's definition and undoes it, at whichever moment: nothing of it is swapped in."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import one
from support.runs.harness import Rebuild, table

from replank.values.states import RunState, TableState

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

Begin = Callable[..., Rebuild]

TABLES = """
CREATE TABLE child (id text PRIMARY KEY, n int NOT NULL CONSTRAINT n_pos CHECK (n >= 0), amount int NOT NULL DEFAULT 7,
  code text CONSTRAINT one_code UNIQUE);
CREATE INDEX child_n ON child (n);
INSERT INTO child (id, n, code) SELECT gen_random_uuid()::text, g, 'code ' || g FROM generate_series(1, 50) AS g;
"""

CHANGE = """
ALTER TABLE child DROP CONSTRAINT n_pos, ALTER n DROP NOT NULL, ALTER amount DROP DEFAULT, DROP CONSTRAINT one_code;
DROP INDEX child_n; ALTER TABLE child ADD extra int;
"""

UNDONE = """
ALTER TABLE child DROP extra, ADD CONSTRAINT n_pos CHECK (n >= 0), ALTER n SET NOT NULL, ALTER amount SET DEFAULT 7,
  ADD CONSTRAINT one_code UNIQUE (code);
CREATE INDEX child_n ON child (n)
"""

DEFINED = """
SELECT (SELECT string_agg(concat_ws(' ', attname, attnotnull, pg_get_expr(adbin, adrelid)), ', ' ORDER BY attname)
          FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE attrelid = 'child'::regclass AND attnum > 0 AND NOT attisdropped),
       (SELECT array_agg(conname || ' ' || pg_get_constraintdef(oid) ORDER BY conname) FROM pg_constraint
         WHERE conrelid = 'child'::regclass AND contype <> 'n'),
       (SELECT array_agg(pg_get_indexdef(indexrelid) ORDER BY indexrelid::regclass::text) FROM pg_index
         WHERE indrelid = 'child'::regclass)
"""


@pytest.mark.parametrize("moment", [TableState.PLANNED, TableState.FIRST_DRAIN, TableState.INDEXING])
def test_a_change_that_is_undone_is_not_in_the_next_table(
    app: psycopg.Connection, begin: Begin, moment: TableState
) -> None:
    app.execute(TABLES)
    before = app.execute(DEFINED.encode()).fetchone()
    rebuild = begin(table("child", "id"))
    rebuild.until(moment)
    # Given a change right before the next table gets something that the live one has
    app.execute(CHANGE)
    # When the run goes on, it stops at once, and says what it is about
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert rebuild.table("child").state is moment
    assert "public.child: its definition was changed" in rebuild.table("child").problem
    # Then the change is undone, as it was told, and the table that is swapped in has everything
    app.execute(UNDONE)
    rebuild.retry()
    rebuild.finish()
    assert app.execute(DEFINED.encode()).fetchone() == before
    assert one(app, "SELECT pg_typeof(id)::text FROM child LIMIT 1") == "uuid"


PARTITIONED = """
CREATE TABLE child (id text, n int NOT NULL, PRIMARY KEY (id, n)) PARTITION BY RANGE (n);
CREATE TABLE child_1 PARTITION OF child FOR VALUES FROM (0) TO (100);
CREATE INDEX child_n ON child (n);
CREATE VIEW children AS SELECT id FROM child;
INSERT INTO child SELECT gen_random_uuid()::text, g FROM generate_series(1, 20) AS g;
"""


def test_a_view_is_the_same_in_whichever_names_its_table_is_looked_for(app: psycopg.Connection, begin: Begin) -> None:
    # Given indexes of partitions, which are joined with a search_path of their own
    app.execute(PARTITIONED)
    rebuild = begin(table("child", "id"))
    # Then nobody takes the view over them for a changed one
    rebuild.finish()
    assert one(app, "SELECT pg_typeof(id)::text FROM children LIMIT 1") == "uuid"
