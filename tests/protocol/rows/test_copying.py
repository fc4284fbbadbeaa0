"""Copying and draining: chunks in any order, and what must not happen beside them.

The numbers are those of the list of traps.
"""

import contextlib
from collections.abc import Callable

import psycopg
import pytest
from psycopg import IsolationLevel
from support.oracles.oracle import built, count, differences, live, one, past
from support.runs.harness import AxisName, Rebuild, Url, add_drain, eventually, table

from replank.values.chunk import Axis, Chunk
from replank.values.states import RunState, TableState
from sql.drain.drain import drain
from sql.rows.copy import copy_chunk
from sql.session.connection import connect
from workers.execution.outcome import Outcome

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

PADDED = "INSERT INTO t SELECT gen_random_uuid()::text, g, repeat('x', 400) FROM generate_series(1, %s) AS g"
"""Some 17 rows per block: 6 000 rows are about 2.8 MB."""


def _create(app: psycopg.Connection, rows: int) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int, note text)")
    app.execute(PADDED, [rows])


def _same(app: psycopg.Connection) -> None:
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_gotcha_15_without_capture_a_copy_keeps_stale_rows_and_resurrects(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    """The negative control: two chunks at two snapshots, and nobody who drains."""
    _create(app, 40)
    rebuild = begin(table("t", "id"))
    rebuild.until(TableState.COPYING)
    app.execute("ALTER TABLE t DISABLE TRIGGER ALL")
    spec = rebuild.spec("t")
    with connect(database, name="bare copy") as bare:
        first = Chunk(axis=Axis.HEAP, lower=("0",), upper=("1",))
        rest = Chunk(axis=Axis.HEAP, lower=("1",), upper=("100000",))
        copy_chunk(bare, spec, first)
        app.execute("UPDATE t SET note = 'changed' WHERE n = 1")
        app.execute("DELETE FROM t WHERE n = 2")
        copy_chunk(bare, spec, rest)
    wrong = {row.split(",")[1] for _, row in differences(app, live("t"), built("t"), {"id"})}
    assert {"1", "2"} <= wrong


def test_gotcha_15_draining_beside_a_copy_puts_a_stale_row_back(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    """The negative control for the barrier: the copy's snapshot is older than the drain's."""
    _create(app, 40)
    rebuild = begin(table("t", "id"))
    rebuild.until(TableState.COPYING)
    spec = rebuild.spec("t")
    with (
        connect(database, name="bare copy") as copier,
        connect(database, name="bare drain") as drainer,
    ):
        copier.isolation_level = drainer.isolation_level = IsolationLevel.REPEATABLE_READ
        with copier.transaction():
            copier.execute("SELECT count(*) FROM public.t").fetchone()
            app.execute("UPDATE t SET note = 'changed' WHERE n = 1")
            app.execute("DELETE FROM t WHERE n = 2")
            with drainer.transaction():
                drain(drainer, spec, compare=False)
            copy_chunk(copier, spec, Chunk(axis=Axis.HEAP, lower=("0",), upper=None))
    assert rebuild.log_length("t") == 0
    assert differences(app, live("t"), built("t"), {"id"}) != []


def test_a_drain_job_refuses_to_run_while_a_copy_is_unfinished(app: psycopg.Connection, begin: Begin) -> None:
    """Whatever put it there: it waits and tries again, and nothing has changed."""
    _create(app, 40)
    rebuild = begin(table("t", "id"))
    rebuild.until(TableState.COPYING)
    app.execute("UPDATE t SET note = 'changed' WHERE n = 1")
    (job_id,) = add_drain(rebuild, "t")
    assert rebuild.execute(job_id) is Outcome.AGAIN
    assert rebuild.log_length("t") == 1
    assert count(app, built("t")) == 0
    rebuild.work("copy")
    rebuild.pass_time()
    assert rebuild.execute(job_id) is Outcome.DONE
    assert rebuild.log_length("t") == 0
    rebuild.finish()
    _same(app)


def _linguistic(app: psycopg.Connection) -> str:
    """A collation that sorts otherwise than "C", if this server has one; else one that is not "C" by name."""
    for (name,) in app.execute("SELECT collname FROM pg_collation WHERE collname <> 'default'").fetchall():
        with contextlib.suppress(psycopg.DatabaseError):
            if one(app, f"""SELECT 'a' < 'B' COLLATE "{name}" """):
                return str(name)
    return "pg_unicode_fast" if app.info.server_version >= 180_000 else "POSIX"


@pytest.mark.parametrize("linguistic", [True, False])
def test_gotcha_18_key_ranges_follow_the_keys_own_collation(
    app: psycopg.Connection, begin: Begin, linguistic: bool
) -> None:
    """Upper case, braces and hyphens sort differently in every collation; every row is in one chunk only."""
    collation = _linguistic(app) if linguistic else "C"
    app.execute(f'CREATE TABLE t (id text COLLATE "{collation}" PRIMARY KEY, n int)'.encode())
    app.execute(
        "INSERT INTO t SELECT CASE g % 4 WHEN 0 THEN upper(u) WHEN 1 THEN '{' || u || '}' WHEN 2 THEN"
        " replace(u, '-', '') ELSE u END, g FROM (SELECT gen_random_uuid()::text AS u, g"
        " FROM generate_series(1, 3000) AS g) AS rows"
    )
    rebuild = begin(table("t", "id", axis="primary_key"), chunk_mb=1)
    rebuild.connection.execute("UPDATE replank.run_table SET rows_estimate = 1")
    rebuild.until(TableState.COPYING)
    rebuild.advance("t")
    waiting = rebuild.jobs("copy")
    assert len(waiting) > 20
    for job_id in reversed(waiting):
        rebuild.execute(job_id)
    assert one(app, "SELECT sum(rows) FROM replank.job WHERE kind = 'copy'") == 3000
    rebuild.finish()
    _same(app)


AWKWARD = ("plain", "it's", 'a "quoted" one', "100 % sure %s %(x)s", "back\\slash", "comma, {brace}", "", " ", "zürich")


def test_gotcha_18_composite_keys_are_cut_as_rows_and_bound_as_values(app: psycopg.Connection, begin: Begin) -> None:
    """The leading column has few values; quotes, percent signs and backslashes are only characters."""
    app.execute("CREATE TABLE t (tenant text, at timestamptz, id text, n numeric, PRIMARY KEY (tenant, at, id))")
    for tenant in AWKWARD:
        app.execute(
            "INSERT INTO t SELECT %s, '2024-03-31 01:30:00+01'::timestamptz + (g / 7) * interval '0.001 s',"
            " gen_random_uuid()::text, 1.50 FROM generate_series(1, 300) AS g",
            [tenant],
        )
    rebuild = begin(table("t", "id", axis="primary_key"))
    rebuild.connection.execute("UPDATE replank.run_table SET rows_estimate = 1")
    rebuild.until(TableState.COPYING)
    rebuild.advance("t")
    assert len(rebuild.jobs("copy")) > 10
    app.execute("UPDATE t SET tenant = tenant || '%' WHERE n = 1.50 AND tenant IN ('', 'it''s')")
    for job_id in reversed(rebuild.jobs("copy")):
        rebuild.execute(job_id)
    app.execute("DELETE FROM t WHERE tenant = 'plain' AND id < '8'")
    rebuild.finish()
    _same(app)
    assert count(app, live("t")) > 250 * len(AWKWARD)


@pytest.mark.parametrize("axis", ["primary_key", "heap"])
def test_gotcha_19_new_random_keys_in_ranges_that_are_done(
    app: psycopg.Connection, begin: Begin, axis: AxisName
) -> None:
    """They come through the log; the last drain leaves nothing behind."""
    _create(app, 3000)
    rebuild = begin(table("t", "id", axis=axis), chunk_mb=1)
    rebuild.connection.execute("UPDATE replank.run_table SET rows_estimate = 1")
    rebuild.until(TableState.COPYING)
    for _ in range(100):
        if not rebuild.jobs("copy") and not rebuild.advance("t"):
            break
        for job_id in rebuild.jobs("copy")[:5]:
            rebuild.execute(job_id)
            app.execute(PADDED, [3])
    assert count(app, live("t")) > 3000
    rebuild.finish()
    _same(app)


@pytest.mark.parametrize("axis", ["auto", "primary_key"])
def test_gotcha_20_a_table_that_was_never_analysed_is_copied_whole(
    app: psycopg.Connection, begin: Begin, axis: AxisName
) -> None:
    """reltuples is -1: estimates decide how many chunks there are, never where they end."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int, note text) WITH (autovacuum_enabled = false)")
    app.execute(PADDED, [5000])
    assert one(app, "SELECT reltuples FROM pg_class WHERE oid = 't'::regclass") == -1
    rebuild = begin(table("t", "id", axis=axis))
    assert rebuild.table("t").rows_estimate == 0
    rebuild.finish()
    _same(app)
    assert one(app, "SELECT sum(rows) FROM replank.job WHERE kind = 'copy'") == 5000


def test_an_estimate_that_is_far_too_small_loses_nothing(app: psycopg.Connection, begin: Begin) -> None:
    _create(app, 10)
    app.execute("ANALYZE t")
    app.execute(PADDED, [5000])
    begin(table("t", "id", axis="primary_key")).finish()
    _same(app)


SLEEPING = (
    "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'replank%' AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)"
)


def test_gotcha_21_no_transaction_of_ours_stays_open_across_chunks(app: psycopg.Connection, begin: Begin) -> None:
    """Only a verification keeps a snapshot, one for its table, and it ends with it."""
    _create(app, 6000)
    rebuild = begin(table("t", "id"), chunk_mb=1)
    held: dict[TableState, set[str]] = {}
    rebuild.settle_until(TableState.READY, lambda: _look(app, rebuild, held))
    assert held.pop(TableState.VERIFYING) == {"replank snapshot 1"}
    assert len(held) == 6
    assert all(names == set() for names in held.values()), held
    assert len(rebuild.jobs("copy", "done")) >= 3
    rebuild.finish()
    assert app.execute(SLEEPING.encode()).fetchall() == []
    assert one(app, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'replank snapshot%'") == 0
    _same(app)


def _look(app: psycopg.Connection, rebuild: Rebuild, held: dict[TableState, set[str]]) -> None:
    state = rebuild.table("t").state
    if state is not TableState.VERIFYING:
        ended = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'replank snapshot%'"
        eventually(lambda: one(app, ended) == 0, "the snapshot's session has ended", deadline_s=5.0)
    held.setdefault(state, set()).update(name for (name,) in app.execute(SLEEPING.encode()))


@pytest.mark.parametrize("rewrite", ["VACUUM FULL t", "CLUSTER t USING t_pkey"])
def test_a_rewritten_file_starts_the_copy_again(app: psycopg.Connection, begin: Begin, rewrite: str) -> None:
    """Its blocks are others now: what was copied goes, new chunks are cut, nobody is asked."""
    _create(app, 6000)
    rebuild = begin(table("t", "id", axis="heap"), chunk_mb=1)
    rebuild.until(TableState.COPYING)
    rebuild.execute(rebuild.jobs("copy")[0])
    app.execute("DELETE FROM t WHERE n % 3 = 0")
    app.execute(rewrite.encode())
    app.execute("UPDATE t SET note = 'after' WHERE n = 1")
    rebuild.finish()
    _same(app)
    assert rebuild.table("t").generation > 1
    assert one(app, "SELECT count(*) FROM replank.event WHERE kind = 'rewritten'") == 1
    assert len(rebuild.jobs("copy", "cancelled")) > 0


def test_a_rewrite_between_cutting_and_capture_or_after_the_copy_is_harmless(
    app: psycopg.Connection, begin: Begin
) -> None:
    _create(app, 2000)
    rebuild = begin(table("t", "id", axis="heap"))
    for state in (TableState.CAPTURED, TableState.FIRST_DRAIN, TableState.INDEXING, TableState.READY):
        rebuild.until(state)
        app.execute("UPDATE t SET note = note || '!' WHERE n % 10 = 0")
        app.execute("VACUUM FULL t")
    rebuild.finish()
    _same(app)


def test_an_empty_table_goes_through_every_stage(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int, note text)")
    app.execute("CREATE TABLE by_key (id text PRIMARY KEY)")
    begin(table("t", "id"), table("by_key", "id", axis="primary_key")).finish()
    _same(app)
    app.execute("INSERT INTO t VALUES (gen_random_uuid(), 1, 'x')")


DROPPED_IN = (
    TableState.CAPTURED,
    TableState.COPYING,
    TableState.INDEXING,
    TableState.CATCHING_UP,
    TableState.REPAIRING,
    TableState.READY,
)


@pytest.mark.parametrize("state", DROPPED_IN)
def test_a_table_dropped_meanwhile_stops_the_run_and_says_so(
    app: psycopg.Connection, begin: Begin, state: TableState
) -> None:
    """The other table goes on to its cutover."""
    _create(app, 100)
    app.execute("CREATE TABLE stays (id text PRIMARY KEY)")
    rebuild = begin(table("t", "id"), table("stays", "id"), sets="apart")
    if state is TableState.REPAIRING:
        rebuild.ready()
        app.execute("UPDATE replank.conversion_set SET autovacuum_before = '{\"1\": null}' WHERE set_no = 1")
    else:
        rebuild.until(state)
    app.execute("DROP TABLE t")
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "public.t" in rebuild.why()
    assert one(app, "SELECT to_regclass('replank_past.stays') IS NOT NULL")
