"""A prepared transaction that holds a table: it has no session, and is named all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from support.oracles.oracle import differences, live, one, past
from support.oracles.returning import everything_left, go_back
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, table

from replank.errors import NeedsOperator

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

ENDED = "COMMIT PREPARED 'order 12''s'"


@pytest.fixture
def prepared(app: psycopg.Connection, database: Url) -> Iterator[Callable[[str], None]]:
    """Prepares a transaction that has written to t, and leaves it."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")

    def prepare(key: str) -> None:
        with psycopg.connect(database, autocommit=True) as session:
            session.execute("BEGIN")
            session.execute("INSERT INTO t VALUES (%s, -1)", [key])
            session.execute("PREPARE TRANSACTION 'order 12''s'")

    yield prepare
    if app.execute("SELECT FROM pg_prepared_xacts WHERE database = current_database()").fetchone():
        app.execute("ROLLBACK PREPARED 'order 12''s'")


@pytest.mark.attack("C8", "a prepared transaction holds the table at capture, cutover and rollback")
def test_it_is_named_with_what_ends_it(
    app: psycopg.Connection, begin: Begin, prepared: Callable[[str], None], attack: Attack
) -> None:
    keys = [f"a0eebc99-9c0b-4ef8-bb6d-6bb9bd38000{n}" for n in range(3)]
    # Given one that holds the table before capture
    prepared(keys[0])
    rebuild = begin(table("t", "id"), lock_timeout_ms=50, cutover_wait_ms=100, cutover_attempts=3, capture_attempts=3)
    rebuild.turn()
    problem = rebuild.table("t").problem
    app.execute(ENDED)
    assert "prepared transaction order 12's of role postgres" in problem
    assert "ROLLBACK PREPARED 'order 12''s'" in problem
    rebuild.ready()
    # And one that holds it at the cutover
    prepared(keys[1])
    assert not rebuild.try_to_swap()
    problem = rebuild.sets[0].problem
    assert "prepared transaction order 12's of role postgres" in problem
    assert "gone meanwhile" not in problem
    app.execute(ENDED)
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
    # And at the rollback's lock
    prepared(keys[2])
    with pytest.raises(NeedsOperator, match="prepared transaction order 12's of role postgres"):
        go_back(rebuild)
    app.execute(ENDED)
    go_back(rebuild)
    assert one(app, "SELECT count(*) FROM t WHERE n = -1") == 3
    assert everything_left(app) == []
    attack.record("named, with the statement that ends it; every committed row kept", tried=3, lost=0)
