"""Somebody changes a table between the plan and the cutover, and undoes it: nothing of it may come through."""

from collections.abc import Callable

import psycopg
import pytest
from equipment.oracle import diff_catalogue, snapshot_catalogue

from replank.states import RunState, TableState

from .harness import Rebuild, table

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

CHANGES = {
    "constraints": (
        "ALTER TABLE t DROP CONSTRAINT positive, ALTER n DROP NOT NULL, ALTER amount DROP DEFAULT",
        "ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0), ALTER n SET NOT NULL, ALTER amount SET DEFAULT 0",
    ),
    "index": ("DROP INDEX t_n", "CREATE INDEX t_n ON t (n)"),
    "column": ("ALTER TABLE t ADD COLUMN extra int", "ALTER TABLE t DROP COLUMN extra"),
    "replica identity": ("ALTER TABLE t REPLICA IDENTITY FULL", "ALTER TABLE t REPLICA IDENTITY DEFAULT"),
}


@pytest.fixture
def planned(app: psycopg.Connection, begin: Begin) -> Rebuild:
    app.execute(
        "CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL, amount numeric DEFAULT 0,"
        " CONSTRAINT positive CHECK (n > 0))"
    )
    app.execute("CREATE INDEX t_n ON t (n)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 40) AS g")
    return begin(table("t", "id"))


@pytest.mark.parametrize("what", CHANGES)
def test_before_the_run_began_with_the_table(
    app: psycopg.Connection, planned: Rebuild, database: str, what: str
) -> None:
    before = snapshot_catalogue(database, ["public"])
    change, undo = CHANGES[what]
    app.execute(change.encode())
    assert planned.settle().state is RunState.NEEDS_PERSON
    assert "since the run was planned, and before it began with this table" in planned.run.reason
    assert planned.table("t").state is TableState.PLANNED
    app.execute(undo.encode())
    planned.retry()
    planned.finish()
    differing = diff_catalogue(before, snapshot_catalogue(database, ["public"]))
    assert [line for line in differing if "uuid" not in str(line) and "text" not in str(line)] == []


def test_while_its_indexes_are_read(app: psycopg.Connection, planned: Rebuild) -> None:
    planned.until(TableState.FIRST_DRAIN)
    app.execute(CHANGES["index"][0].encode())
    assert planned.settle().state is RunState.NEEDS_PERSON
    assert "its definition was changed during the run" in planned.run.reason
    app.execute(CHANGES["index"][1].encode())
    planned.retry()
    planned.finish()
    found = app.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = 't'").fetchall()
    assert any("(n)" in definition for (definition,) in found)
