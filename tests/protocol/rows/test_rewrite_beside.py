"""A table that is rewritten, not MVCC-safely, between the snapshot of a drain or verification and its first look."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import built, differences, live, one, past
from support.oracles.returning import everything_left, go_back
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, add_drain, table

from producer.rollback.compare import compare_tables
from protocol.sessions.between import Rewriter, before_each
from replank.values.states import TableState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

ROWS = 300
PADDING = "x" * 900
REWRITE = "ALTER TABLE t ALTER COLUMN note TYPE text USING note || ''"


@pytest.fixture
def filled(app: psycopg.Connection) -> psycopg.Connection:
    """Table t, with so many blocks that its verification is several jobs at one exported snapshot."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL, note text) WITH (fillfactor = 10)")
    app.execute(
        "INSERT INTO t SELECT gen_random_uuid()::text, g, %s FROM generate_series(1, %s::int) AS g", [PADDING, ROWS]
    )
    return app


@pytest.mark.attack("A4", "ALTER TABLE … TYPE … USING before each statement of a drain")
def test_a_drain_never_takes_a_rewritten_table_for_an_empty_one(
    filled: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    for place in range(1, 100):
        # Given a logged change, and a rewrite that commits before the drain's statement number `place`
        filled.execute("UPDATE t SET n = n + 1000 WHERE n %% 10 = %s", [place % 10])
        statements, done = 0, False

        def rewrite(_: str, place: int = place) -> None:
            nonlocal statements, done
            statements += 1
            if statements == place:
                filled.execute("SET lock_timeout = '5ms'")
                try:
                    filled.execute(REWRITE)
                    done = True
                except psycopg.errors.LockNotAvailable:
                    pass

        add_drain(rebuild, "t")
        before_each(rebuild.worker.connection, rewrite)
        rebuild.work("drain")
        before_each(rebuild.worker.connection, lambda _: None)
        while rebuild.jobs("drain"):
            rebuild.pass_time()
            rebuild.work("drain")
        rebuild.refuse_stuck()
        # Then next is what live is
        assert differences(filled, live("t"), built("t"), {"id"}) == []
        if statements < place:
            break
        attack.record("next is what live is" if done else "the rewrite waited for the drain")
    rebuild.finish()
    assert differences(filled, past("t"), live("t"), {"id"}) == []


@pytest.mark.attack("A4", "ALTER TABLE … TYPE … USING again and again through a run and its rollback")
@pytest.mark.parametrize("stride", [3, 7])
def test_rewrites_all_the_way_there_and_back(
    filled: psycopg.Connection, begin: Begin, database: Url, attack: Attack, stride: int
) -> None:
    rebuild = begin(table("t", "id"), chunk_mb=1, lock_timeout_ms=50, cutover_attempts=200)
    with Rewriter(database, stride=stride, most=20) as rewriter:
        rebuild.until(TableState.CATCHING_UP)
        rewriter.interrupt(rebuild.connection, rebuild.worker.connection)
        rebuild.finish()
    # No verification had anything to repair, and nothing is lost
    assert rewriter.rewritten > 5
    assert one(filled, "SELECT count(*) FROM replank.job WHERE kind = 'repair'") == 0
    assert differences(filled, past("t"), live("t"), {"id"}) == []
    with Rewriter(database, stride=stride, most=10) as back:
        back.interrupt(rebuild.connection)
        go_back(rebuild)
    assert back.rewritten
    assert one(filled, "SELECT count(*) FROM t") == ROWS
    assert everything_left(filled) == []
    attack.record("swapped and rolled back, every row kept", tried=rewriter.rewritten + back.rewritten, lost=0)


@pytest.mark.attack("A4", "ALTER TABLE … TYPE … USING before each statement of `replank verify`")
def test_verify_tells_no_difference_that_is_none(filled: psycopg.Connection, begin: Begin, attack: Attack) -> None:
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    statements = 0

    def rewrite(_: str) -> None:
        nonlocal statements
        statements += 1
        if statements in (3, 5, 6, 7, 8, 12):
            filled.execute("SET lock_timeout = '5ms'")
            try:
                filled.execute(REWRITE)
            except psycopg.errors.LockNotAvailable:
                return
            attack.record("equal")

    before_each(rebuild.connection, rewrite)
    (found,) = compare_tables(rebuild.connection, rebuild.run)
    assert (found.rows_live, found.rows_next, found.mismatches) == (ROWS, ROWS, 0)
