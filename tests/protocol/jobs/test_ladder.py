"""The failure ladder: a chunk with one poisoned row comes down to that row, and all others are done.

Judged by plain SQL. The poison is a row for which the plan's expression divides by zero.
"""

import random
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.oracles.oracle import built, count, differences, live, one, past
from support.runs.harness import AxisName, Rebuild, Table, table

from replank.values.states import TableState
from sql.ledger.jobs import claims, job_queue, job_reports
from workers.execution.outcome import Outcome

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

RATIO: dict[str, Any] = {"add": [{"name": "ratio", "type": "integer", "value": "1000 / live.n"}]}
ROWS = 700

PLAIN = "CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL)"
COMPOSITE = """
CREATE TABLE t (
    who text COLLATE loose NOT NULL, place varchar(40) COLLATE phone NOT NULL, at timestamptz NOT NULL,
    id text NOT NULL UNIQUE, n int NOT NULL, PRIMARY KEY (who, place, at))
"""
ICU = """
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE COLLATION phone (provider = icu, locale = 'de-u-co-phonebk')
"""
OTHERS = """
CREATE COLLATION loose FROM "C";
CREATE COLLATION phone FROM "ucs_basic"
"""
"""Not every build of the server has ICU."""


PARTITIONED = """
CREATE TABLE t (id text NOT NULL, part int NOT NULL, n int NOT NULL, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE t_0 PARTITION OF t FOR VALUES IN (0); CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2)
"""
FILL = {
    PLAIN: "INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, %s) AS g",
    COMPOSITE: "INSERT INTO t SELECT (ARRAY['ä', 'A''', 'b\\', 'ß', 'É'])[1 + g %% 5] || g,"
    " (ARRAY['Öl', 'Ofen', '100%%', 'z'])[1 + g %% 4] || g / 20, timestamptz '2020-01-01' + g * interval '1 h',"
    " gen_random_uuid()::text, g FROM generate_series(1, %s) AS g",
    PARTITIONED: "INSERT INTO t SELECT gen_random_uuid()::text, g %% 3, g FROM generate_series(1, %s) AS g",
}


def create(app: psycopg.Connection, shape: str) -> None:
    """The table, with the collations that it needs."""
    if "COLLATE" in shape:
        try:
            app.execute(ICU)
        except psycopg.errors.FeatureNotSupported:
            app.execute(OTHERS)
    app.execute(shape.encode())
    app.execute(FILL[shape].encode(), [ROWS])


def work_off(rebuild: Rebuild, kind: str, between: Callable[[], None] = lambda: None) -> None:
    """Every job of a kind, and the halves that come of them, until none waits."""
    for _ in range(40):
        rebuild.pass_time()
        if not rebuild.work(kind):
            return
        between()
    raise AssertionError("it does not come to an end")


def states(rebuild: Rebuild) -> dict[str, int]:
    return {state: n for state, n in job_reports.count_by_state(rebuild.connection, rebuild.run_id).items() if n}


class Writer:
    """The application goes on writing: new rows, changed and deleted ones, never the poisoned one."""

    def __init__(self, app: psycopg.Connection, poison: int) -> None:
        self._app, self._poison, self._turn = app, poison, 0

    def __call__(self) -> None:
        self._turn += 1
        self._app.execute("UPDATE t SET n = n + 10000 WHERE n %% 41 = %s AND n <> 0", [self._turn % 41])
        self._app.execute("DELETE FROM t WHERE n %% 97 = %s AND n <> 0", [self._turn])


@pytest.mark.parametrize("shape", [PLAIN, COMPOSITE, PARTITIONED], ids=["plain", "composite", "partitioned"])
@pytest.mark.parametrize("axis", ["heap", "primary_key"])
def test_one_poisoned_row_is_isolated_and_all_others_are_copied(
    app: psycopg.Connection, begin: Begin, shape: str, axis: AxisName
) -> None:
    # Given a row that the plan's expression does not take
    create(app, shape)
    poison = random.Random(shape).randrange(1, ROWS + 1)
    rebuild = begin(Table(name="t", columns=["id"], axis=axis, more=RATIO), chunk_mb=1)
    app.execute("UPDATE t SET n = 0 WHERE n = %s", [poison])
    rebuild.until(TableState.COPYING)
    rebuild.advance("t")  # along the key, cutting goes on behind the barrier

    # When its copy is worked off, while the application writes
    work_off(rebuild, "copy", Writer(app, poison))

    # Then one job is left, it is about that one row and says its key
    (failure,) = rebuild.failures()
    assert (failure.error_class, failure.sqlstate) == ("data error", "22012")
    key = [
        name
        for (name,) in app.execute(
            "SELECT attname FROM pg_index JOIN pg_attribute a ON attrelid = indrelid AND attnum = ANY (indkey)"
            " WHERE indrelid = 't'::regclass AND indisprimary ORDER BY array_position(indkey, attnum)"
        )
    ]
    for name in key:
        (value,) = app.execute(SQL("SELECT {}::text FROM t WHERE n = 0").format(Identifier(name)))
        assert repr(value[0]) in (failure.message or "")
    assert states(rebuild)["failed"] == 1
    assert states(rebuild)["split"] >= 8
    assert states(rebuild).get("waiting", 0) == 0
    # And every other row that did not change meanwhile is in the next table, once
    app.execute("CREATE TABLE untouched AS SELECT * FROM t")
    same = SQL(" AND ").join(
        SQL("t.{} = log.{}").format(Identifier(name), Identifier(f"k{i}")) for i, name in enumerate(key, 1)
    )
    app.execute(
        SQL("DELETE FROM untouched t WHERE n = 0 OR EXISTS (SELECT FROM {} log WHERE {})").format(
            Identifier("replank", rebuild.spec("t").log_name), same
        )
    )
    app.execute("CREATE TABLE copied AS SELECT * FROM replank_next.t WHERE id IN (SELECT id::uuid FROM untouched)")
    app.execute("ALTER TABLE copied DROP COLUMN ratio")
    assert count(app, live("untouched")) > ROWS // 3
    assert differences(app, live("untouched"), live("copied"), {"id"}) == []
    assert one(app, "SELECT count(*) FROM replank_next.t WHERE id IN (SELECT id::uuid FROM t WHERE n = 0)") == 0

    # When a person corrects it and has it tried again, then the run ends well
    app.execute("UPDATE t SET n = 77 WHERE n = 0")
    rebuild.retry()
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
    assert one(app, "SELECT count(*) FROM t WHERE ratio IS DISTINCT FROM 1000 / n") == 0


def test_a_poisoned_row_of_a_backfill_is_isolated(app: psycopg.Connection, begin: Begin) -> None:
    app.execute(PLAIN)
    app.execute(FILL[PLAIN].encode(), [ROWS])
    rebuild = begin(Table(name="t", columns=[], more={**RATIO, "method": "backfill"}))
    app.execute("UPDATE t SET n = 0 WHERE n = 333")
    for _ in range(10):
        rebuild.turn()
    assert rebuild.jobs("backfill")
    keys = one(app, "SELECT sum((detail ->> 'keys')::int) FROM replank.job")
    work_off(rebuild, "backfill", lambda: None)
    (failure,) = rebuild.failures()
    assert str(one(app, "SELECT id FROM t WHERE n = 0")) in (failure.message or "")
    assert one(app, "SELECT count(*) FROM t WHERE ratio IS NULL") == 1
    assert (
        int(str(one(app, "SELECT sum((detail ->> 'keys')::int) FROM replank.job WHERE state <> 'split'")))
        <= int(str(keys)) + 40
    )
    app.execute("UPDATE t SET n = 5 WHERE n = 0")
    rebuild.retry()
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM t WHERE ratio IS DISTINCT FROM 1000 / n") == 0


def test_rows_with_one_place_in_several_partitions_are_told_apart(app: psycopg.Connection, begin: Begin) -> None:
    """Three partitions with one row each, all at (0,1): a chunk of blocks means these of every partition."""
    app.execute(PARTITIONED)
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g % 3, g FROM generate_series(3, 5) AS g")
    rebuild = begin(Table(name="t", columns=["id"], axis="heap", more=RATIO))
    app.execute("TRUNCATE t")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g, g FROM generate_series(0, 2) AS g")
    rebuild.until(TableState.COPYING)
    work_off(rebuild, "copy")
    (failure,) = rebuild.failures()
    assert str(one(app, "SELECT id FROM t WHERE n = 0")) in (failure.message or "")
    assert count(app, built("t")) == 2


@pytest.fixture
def poisoned(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Table t with a poisoned row, its one copy job waiting."""
    app.execute(PLAIN)
    app.execute(FILL[PLAIN].encode(), [300])
    rebuild = begin(Table(name="t", columns=["id"], axis="heap", more=RATIO))
    app.execute("UPDATE t SET n = 0 WHERE n = 150")
    rebuild.until(TableState.COPYING)
    return rebuild


def test_a_second_delivery_of_a_split_job_changes_nothing(app: psycopg.Connection, poisoned: Rebuild) -> None:
    (parent,) = poisoned.jobs("copy")
    assert poisoned.execute(parent) is Outcome.SPLIT
    halves = poisoned.jobs("copy")
    assert len(halves) == 2
    assert poisoned.execute(parent) is Outcome.NOTHING
    assert poisoned.jobs("copy") == halves
    assert count(app, built("t")) == 0
    # And the drain's barrier stays closed while halves are left, though the parent has ended
    assert job_reports.copying(poisoned.connection, poisoned.spec("t"))
    poisoned.turn()
    assert poisoned.table("t").state is TableState.COPYING


def test_a_lease_that_was_lost_splits_nothing(app: psycopg.Connection, poisoned: Rebuild) -> None:
    """Whoever was overtaken leaves no halves: they would copy the rows a second time."""
    (parent,) = poisoned.jobs("copy")
    slow = poisoned.new_worker("slow")
    job = claims.claim(slow.connection, run_id=poisoned.run_id, job_id=parent, worker="slow", lease_s=60)
    assert job is not None
    poisoned.connection.execute("UPDATE replank.job SET lease_until = clock_timestamp() - interval '1 s'")
    assert job_queue.take_back_orphans(poisoned.connection, poisoned.run_id)
    app.execute("UPDATE t SET n = 150 WHERE n = 0")
    assert poisoned.execute(parent) is Outcome.DONE
    assert slow._handle_error(job, psycopg.errors.DivisionByZero()) is Outcome.NOTHING
    assert poisoned.jobs("copy") == []
    assert one(app, "SELECT count(*) FROM replank.job WHERE parent IS NOT NULL") == 0
    assert count(app, built("t")) == 300


def test_what_times_out_is_tried_again_and_then_halved(app: psycopg.Connection, poisoned: Rebuild) -> None:
    """A statement_timeout says that the chunk is too large, or that the moment was bad: at first the same again."""
    app.execute("UPDATE t SET n = 150 WHERE n = 0")
    (parent,) = poisoned.jobs("copy")
    job = claims.claim(poisoned.connection, run_id=poisoned.run_id, job_id=parent, worker="w", lease_s=60)
    assert job is not None
    assert poisoned.worker._handle_error(job, _timeout(app)) is Outcome.AGAIN
    poisoned.pass_time()
    job = claims.claim(poisoned.connection, run_id=poisoned.run_id, job_id=parent, worker="w", lease_s=60)
    assert job is not None
    assert poisoned.worker._handle_error(job, _timeout(app)) is Outcome.SPLIT
    history = app.execute("SELECT attempt, outcome, error_class, sqlstate, worker FROM replank.job_attempt").fetchall()
    assert history == [(1, "again", "timeout", "57014", "w"), (2, "split", "timeout", "57014", "w")]
    poisoned.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


def _timeout(app: psycopg.Connection) -> psycopg.Error:
    app.execute("SET statement_timeout = 1")
    try:
        app.execute("SELECT pg_sleep(1)")
    except psycopg.errors.QueryCanceled as error:
        return error
    finally:
        app.execute("SET statement_timeout = 0")
    raise AssertionError("it did not time out")


def test_verification_halves_keep_its_one_snapshot(app: psycopg.Connection, begin: Begin) -> None:
    """Chunks of a verification are halved like others; sums of halves add up, though rows change between them."""
    app.execute(PLAIN)
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 60000) AS g")
    rebuild = begin(table("t", "id", axis="heap"), chunk_mb=1)
    rebuild.until(TableState.VERIFYING)
    rebuild.work("vacuum")
    first, *_ = rebuild.jobs("verify")
    job = claims.claim(rebuild.connection, run_id=rebuild.run_id, job_id=first, worker="w", lease_s=60)
    assert job is not None
    assert job.detail["snapshot"] is not None
    assert rebuild.worker._handle_error(job, _divided(app)) is Outcome.SPLIT
    app.execute("UPDATE t SET n = -n WHERE n <= 500")
    work_off(rebuild, "verify", lambda: None)
    rebuild.turn()
    assert rebuild.table("t").state is TableState.READY
    assert (
        one(
            app,
            "SELECT count(*) FROM replank.event WHERE message LIKE 'differences%%'",
        )
        == 0
    )
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


def _divided(app: psycopg.Connection) -> psycopg.Error:
    try:
        app.execute("SELECT 1 / 0")
    except psycopg.errors.DivisionByZero as error:
        return error
    raise AssertionError("it did not fail")
