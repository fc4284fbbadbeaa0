"""Partitioned tables are rebuilt with all their partitions. The numbers are those of the list of traps."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors
from support.oracles.journal_oracle import diff_catalogue, foreign_keys_hold, snapshot_catalogue
from support.oracles.oracle import count, differences, live, on, one, past
from support.runs.harness import AxisName, Rebuild, Url, table

from replank.errors import NeedsOperator
from replank.values.states import RunState, TableState

pytestmark = [pytest.mark.protocol, pytest.mark.core]

Begin = Callable[..., Rebuild]

EVENTS = """
CREATE SCHEMA archive;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE actor (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, n int UNIQUE);
CREATE TABLE event (
  id text DEFAULT gen_random_uuid()::text, at date NOT NULL, kind text NOT NULL DEFAULT 'none', n bigint,
  actor_id text CONSTRAINT event_actor REFERENCES actor ON DELETE CASCADE, up_id text,
  number int GENERATED ALWAYS AS IDENTITY, serial_no serial, twice bigint GENERATED ALWAYS AS (n * 2) STORED,
  CONSTRAINT n_is_small CHECK (n < 1000000), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE event_2024 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY RANGE (at);
CREATE TABLE event_2024_a PARTITION OF event_2024 FOR VALUES FROM ('2024-01-01') TO ('2024-05-01');
CREATE TABLE archive."Event 2024 %" PARTITION OF event_2024 (CONSTRAINT own CHECK (n > -5)) DEFAULT
  WITH (fillfactor = 70, autovacuum_enabled = false);
CREATE TABLE event_2025 (n bigint, gone int, twice bigint GENERATED ALWAYS AS (n * 2) STORED, at date NOT NULL,
  kind text NOT NULL DEFAULT 'late', up_id text, actor_id text,
  id text NOT NULL DEFAULT 'ffffffff-ffff-4fff-8fff-ffffffffffff',
  number int NOT NULL, serial_no int NOT NULL DEFAULT 1, CONSTRAINT n_is_small CHECK (n < 1000000));
ALTER TABLE event_2025 DROP COLUMN gone;
ALTER TABLE event ATTACH PARTITION event_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE event_rest PARTITION OF event DEFAULT WITH (autovacuum_vacuum_threshold = 99);
CREATE INDEX event_n ON event (n DESC, kind) WHERE n > 3;
CREATE INDEX only_here ON event_2024_a ((abs(n)));
CREATE UNIQUE INDEX event_unique ON event (n, at) INCLUDE (kind);
ALTER TABLE event ADD CONSTRAINT named_unique UNIQUE (number, at) DEFERRABLE;
ALTER TABLE event_2025 ADD CONSTRAINT of_leaf FOREIGN KEY (up_id) REFERENCES actor;
CREATE TABLE note (id text PRIMARY KEY, event_id text, event_at date, leaf_id text, leaf_at date,
  CONSTRAINT note_event FOREIGN KEY (event_id, event_at) REFERENCES event ON UPDATE CASCADE,
  CONSTRAINT note_leaf FOREIGN KEY (leaf_id, leaf_at) REFERENCES event_2025 (id, at));
CREATE TRIGGER every BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION f('x');
CREATE TRIGGER off AFTER UPDATE ON event FOR EACH ROW EXECUTE FUNCTION f();
CREATE TRIGGER leaf_only AFTER DELETE ON event_rest FOR EACH STATEMENT EXECUTE FUNCTION f();
ALTER TABLE event DISABLE TRIGGER off;
ALTER TABLE event_2025 ENABLE TRIGGER off;
ALTER TABLE event ALTER COLUMN kind SET STATISTICS 55;
ALTER TABLE event_rest ALTER COLUMN n SET STATISTICS 66;
ALTER TABLE event ADD CONSTRAINT late CHECK (n <> 17) NOT VALID;
COMMENT ON TABLE event_2025 IS 'a partition';
COMMENT ON CONSTRAINT named_unique ON event IS 'by number';
COMMENT ON INDEX event_n IS 'ordered';
COMMENT ON COLUMN event_rest.n IS 'of the rest';
GRANT SELECT ON event TO PUBLIC;
GRANT INSERT ON event_2025 TO PUBLIC;
INSERT INTO actor (n) SELECT g FROM generate_series(1, 40) AS g;
INSERT INTO event (at, kind, n, actor_id, up_id)
  SELECT date '2023-06-01' + g * 3, (ARRAY['a', 'b', 'c'])[g % 3 + 1], g, id, id
    FROM generate_series(18, 500) AS g JOIN actor ON actor.n = g % 40 + 1;
INSERT INTO note SELECT gen_random_uuid()::text, id, at FROM event WHERE n % 7 = 0;
INSERT INTO note SELECT gen_random_uuid()::text, NULL, NULL, id, at FROM event_2025 WHERE n % 5 = 0
"""

LEAVES = (
    live("event_2024_a"),
    live("Event 2024 %", "archive"),
    live("event_2025"),
    live("event_rest"),
)
CONVERTED = {"actor": {"id"}, "event": {"id", "actor_id", "up_id"}, "note": {"id", "event_id", "leaf_id"}}
PLANNED = [table(name, *sorted(columns)) for name, columns in CONVERTED.items()]


@pytest.fixture
def events(app: psycopg.Connection) -> None:
    """`event` in partitions of two levels and two schemas, attached and created, dressed in every way."""
    for statement in EVENTS.split(";\n"):
        app.execute(statement.encode())


def _partition_of_each_row(app: psycopg.Connection) -> list[tuple[object, ...]]:
    """Which partition each row of `event` lies in, by number."""
    asked = "SELECT number, c.relname FROM event e JOIN pg_class c ON c.oid = e.tableoid ORDER BY 1"
    return app.execute(asked).fetchall()


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("axis", ["heap", "primary_key"])
def test_gotcha_29_a_partitioned_table_is_as_before(
    app: psycopg.Connection, begin: Begin, database: Url, axis: AxisName
) -> None:
    """Partitions of every kind with all that hangs on them, foreign keys from, to and on single partitions."""
    schemas = ["public", "archive"]
    before = snapshot_catalogue(database, schemas)
    lay = _partition_of_each_row(app)
    planned = [table(name, *sorted(columns), axis=axis) for name, columns in CONVERTED.items()]
    begin(*planned).finish()

    names = {"actor", "event", "note", "event_2024", *(name for _, name in LEAVES)}
    left = []
    for subject, was, became in diff_catalogue(before, snapshot_catalogue(database, schemas)):
        column = subject.rpartition(".")[2]
        of_ours = any(f".{name}." in subject or f'."{name}".' in subject for name in names)
        if subject.startswith("column ") and of_ours and column in {"id", "actor_id", "up_id", "event_id", "leaf_id"}:
            assert was is not None
            was = was.replace("text", "uuid", 1).replace('; collation "default"', "").replace("storage x", "storage p")
            was = was.replace("(gen_random_uuid())::text", "gen_random_uuid()")
            was = was.replace(
                "'ffffffff-ffff-4fff-8fff-ffffffffffff'::text", "'ffffffff-ffff-4fff-8fff-ffffffffffff'::text)::uuid"
            )
            became = (became or "").replace("default ('ffffffff", "default 'ffffffff")
        if "; FOREIGN KEY" in f"; {was}" and app.info.server_version < 180_000:
            # Before 18, VALIDATE leaves its copies for the referenced partitions unmarked; they were checked with it.
            became = (became or "").replace(" NOT VALID; not validated", "")
        if was != became:
            left.append((subject, was, became))
    assert not left, "\n".join(map(str, left))
    assert foreign_keys_hold(database) == []
    for name, columns in CONVERTED.items():
        assert differences(app, past(name), live(name), columns) == []
    assert _partition_of_each_row(app) == lay
    assert one(app, "SELECT count(*) FROM pg_class WHERE relnamespace = 'replank_past_archive'::regnamespace") != 0
    app.execute("INSERT INTO event (at, n) VALUES ('2025-03-03', 5000)")
    with pytest.raises(errors.CheckViolation):
        app.execute("INSERT INTO event (at, n) VALUES ('2025-03-03', 17)")
    with pytest.raises(errors.ForeignKeyViolation):
        app.execute("UPDATE event_2025 SET up_id = gen_random_uuid()")


def test_the_partition_key_may_be_converted(app: psycopg.Connection, begin: Begin) -> None:
    """By hash a row may lie elsewhere; bounds of a range are read as uuids."""
    app.execute("CREATE TABLE h (id text PRIMARY KEY, n int) PARTITION BY HASH (id)")
    for remainder in range(3):
        on(
            app,
            f"h_{remainder}",
            f"CREATE TABLE {{t}} PARTITION OF h FOR VALUES WITH (MODULUS 3, REMAINDER {remainder})",
        )
    app.execute("CREATE TABLE r (id text PRIMARY KEY, n int) PARTITION BY RANGE (id)")
    middle = "80000000-0000-0000-0000-000000000000"
    on(app, "r_low", f"CREATE TABLE {{t}} PARTITION OF r FOR VALUES FROM (MINVALUE) TO ('{middle}')")
    on(app, "r_high", f"CREATE TABLE {{t}} PARTITION OF r FOR VALUES FROM ('{middle}') TO (MAXVALUE)")
    for name in ("h", "r"):
        on(app, name, "INSERT INTO {t} SELECT gen_random_uuid()::text, g FROM generate_series(1, 500) AS g")
    rebuild = begin(table("h", "id"), table("r", "id"))
    rebuild.until(TableState.READY)
    app.execute("UPDATE h SET id = gen_random_uuid()::text WHERE n < 50")
    app.execute("UPDATE r SET id = gen_random_uuid()::text WHERE n < 50")
    rebuild.finish()
    for name in ("h", "r"):
        assert differences(app, past(name), live(name), {"id"}) == []
    assert one(app, "SELECT count(*) FROM r_low WHERE id >= %s::uuid", middle) == 0
    assert one(app, "SELECT count(*) FROM h_2") != 0


WRITES = (
    "INSERT INTO event_rest (at, n, kind, number) OVERRIDING SYSTEM VALUE VALUES ('2030-01-01', 7001, 'x', 90001)",
    "INSERT INTO event (at, n) SELECT date '2024-02-01' + g, 8000 + g FROM generate_series(1, 9) AS g",
    "UPDATE event SET at = at + 400 WHERE n BETWEEN 18 AND 40 AND n % 7 <> 0",
    "UPDATE event_rest SET id = gen_random_uuid()::text WHERE n = (SELECT max(n) FROM event_rest WHERE n % 7 <> 0)",
    "DELETE FROM event_2024 WHERE kind = 'b' AND n % 7 <> 0 AND n % 5 <> 0",
    "UPDATE event_2024 SET at = CASE WHEN at < '2024-06-01' THEN at + 60 ELSE at - 60 END WHERE n % 7 = 0",
)
STATES = [TableState.CAPTURED, TableState.COPYING, TableState.FIRST_DRAIN, TableState.INDEXING, TableState.READY]


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("state", STATES)
def test_gotcha_12_13_16_writes_to_partitions_are_never_lost(
    app: psycopg.Connection, begin: Begin, database: Url, state: TableState
) -> None:
    rebuild = begin(*PLANNED)
    rebuild.until(state)
    for statement in WRITES:
        app.execute(statement.encode())
    rebuild.finish()
    for name, columns in CONVERTED.items():
        assert differences(app, past(name), live(name), columns) == []
    assert foreign_keys_hold(database) == []


@pytest.mark.parametrize("state", STATES)
def test_gotcha_14_truncate_of_one_partition_empties_only_that(
    app: psycopg.Connection, begin: Begin, state: TableState
) -> None:
    """Nobody logs the keys that a TRUNCATE takes away; rows of the other partitions stay."""
    app.execute("CREATE TABLE t (id text, n int, PRIMARY KEY (id, n)) PARTITION BY RANGE (n)")
    app.execute("CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (100)")
    app.execute("CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (100) TO (1000)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 300) AS g")
    rebuild = begin(table("t", "id"))
    rebuild.until(state)
    app.execute("UPDATE t SET n = 150 WHERE n = 50")
    app.execute("TRUNCATE t_low")
    app.execute("INSERT INTO t VALUES (gen_random_uuid()::text, 5)")
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
    assert count(app, live("t_low")) == 1
    assert count(app, live("t_high")) == 202


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE event_2026 PARTITION OF event FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')",
        "ALTER TABLE event DETACH PARTITION event_2025",
        "ALTER TABLE event_rest ADD CONSTRAINT new CHECK (n IS NOT NULL)",
        "CREATE INDEX new ON event_2025 (n)",
        "GRANT SELECT ON event_2024_a TO PUBLIC",
    ],
)
def test_ddl_on_a_partition_stops_the_cutover(app: psycopg.Connection, begin: Begin, change: str) -> None:
    rebuild = begin(*PLANNED)
    rebuild.ready()
    app.execute("DELETE FROM note")
    app.execute(change.encode())
    run = rebuild.settle()
    assert run.state is RunState.NEEDS_OPERATOR
    assert "changed during the run" in run.reason
    assert one(app, "SELECT pg_typeof(id)::text FROM event LIMIT 1") == "text"


@pytest.mark.usefixtures("events")
def test_a_rewritten_partition_starts_the_copy_again(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = begin(*PLANNED)
    rebuild.until(TableState.COPYING)
    app.execute("VACUUM FULL event_2025")
    rebuild.finish()
    assert differences(app, past("event"), live("event"), CONVERTED["event"]) == []


def test_what_a_partition_cannot_carry_is_refused(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text, n int, PRIMARY KEY (id, n)) PARTITION BY RANGE (n)")
    app.execute("CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (100)")
    app.execute("CREATE TYPE uses AS (n int, t t_low)")
    with pytest.raises(NeedsOperator, match=r"type public\.uses \(of partition public\.t_low\)"):
        begin(table("t", "id"))
    with pytest.raises(NeedsOperator, match="only whole partitioned tables are rebuilt"):
        begin(table("t_low", "id"))
