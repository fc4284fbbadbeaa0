"""Enums in partitioned tables and in families, and types that change while the run works."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import column_type, live, one
from support.oracles.returning import catalogue, changed, go_back, keep, unlike
from support.runs.harness import Rebuild, table

from monitoring.catalogue_diff.changes import catalogue_changes
from replank.errors import NeedsOperator
from replank.values.states import RunState, TableState

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

Begin = Callable[..., Rebuild]

PARTED = """
CREATE TYPE state AS ENUM ('new', 'old', 'gone');
CREATE TABLE event (id int, state text NOT NULL CONSTRAINT listed CHECK (state IN ('new', 'old', 'gone')), n int,
  PRIMARY KEY (id, state)) PARTITION BY LIST (state);
CREATE TABLE event_new PARTITION OF event FOR VALUES IN ('new');
CREATE TABLE event_rest PARTITION OF event FOR VALUES IN ('old', 'gone');
ALTER TABLE event_rest ADD CONSTRAINT late CHECK (state IN ('old', 'gone')) NOT VALID;
INSERT INTO event SELECT g, (ARRAY['new', 'old', 'gone'])[1 + g % 3], g FROM generate_series(1, 120) AS g
"""
STATE = {"name": "state", "to": "enum", "type": "state"}
EVENT = table("event", columns=[STATE])


def _script(app: psycopg.Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        app.execute(statement.encode())


def _content(app: psycopg.Connection, name: str, schema: str = "public") -> list[tuple[object, ...]]:
    told = "SELECT t.*::text FROM {} AS t ORDER BY 1"
    return app.execute(psycopg.sql.SQL(told).format(psycopg.sql.Identifier(schema, name))).fetchall()


def test_a_partition_key_that_becomes_an_enum(app: psycopg.Connection, begin: Begin, database: str) -> None:
    _script(app, PARTED)
    before = catalogue(database, ["public"])
    rebuild = begin(EVENT)
    rebuild.until(TableState.READY)
    app.execute("UPDATE event SET state = 'old' WHERE id % 6 = 3; DELETE FROM event WHERE id % 11 = 0")
    app.execute("INSERT INTO event SELECT g, 'new', g FROM generate_series(500, 510) AS g")
    rebuild.finish()
    assert _content(app, "event") == _content(app, "event", "replank_past")
    assert column_type(app, live("event_rest"), "state") == "state"
    assert one(app, "SELECT count(*) FROM event_new WHERE state <> 'new'") == 0
    assert one(app, "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'event_rest'::regclass") == (
        "FOR VALUES IN ('old', 'gone')"
    )
    told = catalogue_changes(rebuild.connection, rebuild.run)
    assert [change for change in told if not change.explained] == []
    app.execute("UPDATE event SET state = 'gone', n = -1 WHERE id = 3")
    keep(app, live("event"), "event")
    go_back(rebuild)
    assert unlike(app, live("event"), "event", ["t.id, t.state::text, t.n"]) == []
    assert changed(before, catalogue(database, ["public"])) == {}


def test_ranges_of_texts_are_refused(app: psycopg.Connection, begin: Begin) -> None:
    _script(app, PARTED.replace("BY LIST", "BY RANGE").split("CREATE TABLE event_new")[0].rstrip().rstrip(";"))
    app.execute("CREATE TABLE event_all PARTITION OF event FOR VALUES FROM ('a') TO ('z')")
    with pytest.raises(NeedsOperator, match="enum_partition"):
        begin(EVENT)


FAMILY = """
CREATE TYPE state AS ENUM ('new', 'old', 'gone');
CREATE TABLE parent (id int PRIMARY KEY, state text DEFAULT 'new' CONSTRAINT listed CHECK (state IN ('new', 'old')));
CREATE TABLE child (more int) INHERITS (parent);
ALTER TABLE child ADD PRIMARY KEY (id), ADD CONSTRAINT own CHECK (state = 'old' ) NOT VALID;
INSERT INTO parent SELECT g, 'new' FROM generate_series(1, 50) AS g;
INSERT INTO child SELECT g, 'old', g FROM generate_series(51, 100) AS g
"""


def test_a_family(app: psycopg.Connection, begin: Begin, database: str) -> None:
    _script(app, FAMILY)
    before = catalogue(database, ["public"])
    rebuild = begin(table("parent", columns=[STATE]), table("child", columns=[STATE]))
    rebuild.until(TableState.COPYING)
    app.execute("UPDATE parent SET state = 'old' WHERE id % 7 = 0")
    rebuild.finish()
    assert _content(app, "parent") == _content(app, "parent", "replank_past")
    with pytest.raises(psycopg.errors.CheckViolation, match="listed"):
        app.execute("INSERT INTO child VALUES (1000, 'gone')")
    with pytest.raises(psycopg.errors.CheckViolation, match="own"):
        app.execute("INSERT INTO child VALUES (1000, 'new')")
    assert [c for c in catalogue_changes(rebuild.connection, rebuild.run) if not c.explained] == []
    go_back(rebuild)
    assert changed(before, catalogue(database, ["public"])) == {}


@pytest.mark.parametrize("policy", ["fail", "quarantine"])
def test_a_value_that_the_type_gets_while_the_run_works_is_never_lost(
    app: psycopg.Connection, begin: Begin, policy: str
) -> None:
    """By the policy it is a value, or its row is kept aside: what was planned holds to the end."""
    app.execute("CREATE TYPE state AS ENUM ('new', 'old')")
    app.execute("CREATE TABLE event (id int PRIMARY KEY, state text)")
    app.execute("INSERT INTO event SELECT g, 'new' FROM generate_series(1, 50) AS g")
    rebuild = begin(table("event", columns=[{**STATE, "on_invalid": policy}]))
    rebuild.until(TableState.READY)
    app.execute("ALTER TYPE state ADD VALUE 'late'")
    app.execute("UPDATE event SET state = 'late' WHERE id < 4")
    rebuild.finish()
    late = one(app, "SELECT count(*) FROM event WHERE state = 'late'")
    aside = psycopg.sql.SQL("SELECT count(*) FROM replank.{}").format(
        psycopg.sql.Identifier(rebuild.spec("event").quarantine_name)
    )
    kept = app.execute(aside).fetchall()[0][0] if policy == "quarantine" else 0
    assert (late, kept) == ((3, 0) if policy == "fail" else (0, 3))


def test_a_value_that_is_renamed_stops_cutover_and_rollback(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TYPE state AS ENUM ('new', 'old')")
    app.execute("CREATE TABLE event (id int PRIMARY KEY, state text)")
    app.execute("INSERT INTO event SELECT g, 'new' FROM generate_series(1, 50) AS g")
    rebuild = begin(table("event", columns=[STATE]))
    rebuild.until(TableState.READY)
    app.execute("ALTER TYPE state RENAME VALUE 'new' TO 'newer'; UPDATE event SET state = 'old' WHERE id < 3")
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "public.state: new is not a value of this type any more" in rebuild.why()
    app.execute("ALTER TYPE state RENAME VALUE 'newer' TO 'new'")
    rebuild.retry()
    rebuild.finish()
    app.execute("ALTER TYPE state RENAME TO states; UPDATE event SET state = 'old' WHERE id < 5")
    with pytest.raises(NeedsOperator, match="is not a value of this type any more"):
        go_back(rebuild)
    app.execute("ALTER TYPE states RENAME TO state")
    go_back(rebuild)
    assert app.execute("SELECT state::text, count(*) FROM event GROUP BY 1 ORDER BY 1").fetchall() == [
        ("new", 46), ("old", 4)
    ]  # fmt: skip
