"""A partitioned table outside the plan that refers to one inside. The number is that of the list of traps."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import differences, live, past
from support.runs.harness import Rebuild, table

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]


def test_gotcha_27_a_key_from_a_partitioned_table_leads_to_the_new_table(app: psycopg.Connection, begin: Begin) -> None:
    # Given a partitioned table that refers to a column of the planned one that keeps its type
    app.execute("CREATE TABLE p (id text PRIMARY KEY, n int NOT NULL UNIQUE)")
    app.execute("CREATE TABLE part (k int NOT NULL, n int REFERENCES p (n) ON DELETE CASCADE) PARTITION BY RANGE (k)")
    app.execute("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100)")
    app.execute("CREATE TABLE part_2 PARTITION OF part DEFAULT")
    app.execute("INSERT INTO p SELECT gen_random_uuid()::text, g FROM generate_series(1, 300) AS g")
    app.execute("INSERT INTO part SELECT g, g FROM generate_series(1, 300) AS g")

    # When the planned table is rebuilt to the end
    begin(table("p", "id")).finish()

    # Then the key leads to the new table, on every partition, validated, and does its work
    assert differences(app, past("p"), live("p"), {"id"}) == []
    keys = app.execute(
        "SELECT conrelid::regclass::text, confrelid = 'public.p'::regclass, convalidated FROM pg_constraint"
        " WHERE contype = 'f' AND conrelid IN ('part'::regclass, 'part_1'::regclass, 'part_2'::regclass)"
        " AND confrelid <> 'replank_past.p'::regclass AND (conparentid = 0 OR confrelid = 'public.p'::regclass)"
        " ORDER BY 1"
    ).fetchall()
    assert keys == [("part", True, True), ("part_1", True, True), ("part_2", True, True)]
    app.execute("DELETE FROM p WHERE n = 7")
    assert app.execute("SELECT count(*) FROM part WHERE n = 7").fetchall() == [(0,)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app.execute("INSERT INTO part VALUES (7, 7)")
