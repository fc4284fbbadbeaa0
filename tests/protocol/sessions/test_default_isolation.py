"""A database or role whose transactions are REPEATABLE READ or SERIALIZABLE unless they say otherwise.

Such a transaction has its snapshot before its first lock is granted: what commits in between is not in it.
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import one
from support.oracles.returning import everything_left, go_back
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, table
from support.writers.journal_writers import JournalWriters

from protocol.caches.cached_shop import IN_STEP, differences
from protocol.caches.cached_shop import Begin as BeginCached
from protocol.caches.cached_shop import until as cache_until
from protocol.sessions.between import LateWriter
from replank.errors import NeedsOperator
from sql.session.connection import connect, isolated
from sql.session.isolation_level import require_read_committed

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

SAID = (
    "ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'",
    "ALTER ROLE CURRENT_USER IN DATABASE {} SET default_transaction_isolation = 'serializable'",
)


def _say(app: psycopg.Connection, said: str) -> None:
    """For sessions that begin from now on."""
    app.execute(said.format(app.info.dbname).encode())


def _lost(app: psycopg.Connection, name: str, acknowledged: list[str]) -> int:
    found = app.execute(f"SELECT id::text FROM {name} WHERE id::text = ANY (%s)".encode(), [acknowledged])  # noqa: S608
    return len(acknowledged) - len(found.fetchall())


@pytest.fixture
def orders(app: psycopg.Connection) -> psycopg.Connection:
    app.execute("CREATE TABLE customer (id text PRIMARY KEY)")
    app.execute("CREATE TABLE orders (id text PRIMARY KEY, customer_id text REFERENCES customer, note text)")
    app.execute("INSERT INTO customer SELECT gen_random_uuid()::text FROM generate_series(1, 20)")
    app.execute("INSERT INTO orders SELECT gen_random_uuid()::text, id, 'old' FROM customer")
    return app


@pytest.mark.attack("A1", "default isolation REPEATABLE READ or SERIALIZABLE, writes until the lock is granted")
@pytest.mark.parametrize("said", SAID, ids=["database", "role"])
def test_what_commits_before_the_lock_is_granted_is_kept_there_and_back(
    orders: psycopg.Connection, begin: Begin, database: Url, attack: Attack, said: str
) -> None:
    _say(orders, said)
    rebuild = begin(table("customer", "id"), table("orders", "id", "customer_id"))
    with LateWriter(database, "INSERT INTO orders VALUES (%s, (SELECT id FROM customer LIMIT 1), 'new')") as writer:
        # Given a writer whose rows commit between the swap's first statement and its locks
        rebuild.ready()
        writer.interrupt(rebuild.connection)
        rebuild.swap()
        forward = list(writer.acknowledged)
        # Then they are in the new tables
        assert forward
        assert _lost(orders, "orders", forward) == 0
        rebuild.finish()
        # And those that commit before the rollback's locks are in the old ones
        go_back(rebuild)
        assert len(writer.acknowledged) > len(forward)
        assert _lost(orders, "orders", writer.acknowledged) == 0
    assert one(orders, "SELECT count(*) FROM orders") == 20 + len(writer.acknowledged)
    assert everything_left(orders) == []
    attack.record("swapped and rolled back, every row kept", acknowledged=len(writer.acknowledged), lost=0)


@pytest.mark.attack("A1", "default isolation REPEATABLE READ: a cache kept in step, writes until the lock is granted")
def test_a_cache_is_what_its_query_says_when_it_is_swapped(
    database: Url, shop: psycopg.Connection, start: BeginCached, attack: Attack
) -> None:
    _say(shop, SAID[0])
    rebuild = start(IN_STEP)
    cache_until(rebuild, "ready")
    with LateWriter(
        database,
        "WITH u AS (INSERT INTO users VALUES (%s, 'late') RETURNING id) INSERT INTO membership SELECT id, 1 FROM u",
    ) as writer:
        writer.interrupt(rebuild.connection)
        rebuild.finish()
    assert writer.acknowledged
    assert differences(shop) == []
    attack.record("swapped; the cache says what its query says", acknowledged=len(writer.acknowledged), lost=0)


def test_every_session_names_its_level(orders: psycopg.Connection, database: Url) -> None:
    _say(orders, SAID[0])
    with connect(database, name="test") as connection:
        assert one(connection, "SHOW default_transaction_isolation") == "read committed"
        with connection.transaction():
            assert one(connection, "SHOW transaction_isolation") == "read committed"


def test_another_level_is_seen_under_the_locks(database: Url) -> None:
    with connect(database, name="test") as connection:
        with (
            isolated(connection, psycopg.IsolationLevel.REPEATABLE_READ),
            connection.transaction(),
            pytest.raises(NeedsOperator, match="not READ COMMITTED"),
        ):
            require_read_committed(connection)
        with connection.transaction():
            require_read_committed(connection)


@pytest.mark.attack("A1", "default isolation REPEATABLE READ: four writers with a journal, there and back")
def test_writers_lose_nothing(orders: psycopg.Connection, begin: Begin, database: Url, attack: Attack) -> None:
    with JournalWriters(url=database, rate=400) as writers:
        # Their own transactions stay READ COMMITTED: what an older snapshot of theirs meets is another attack.
        writers.wait_for_writes(1)
        _say(orders, SAID[0])
        rebuild = begin(table("customer", "id"), table("orders", "id", "customer_id"), cutover_attempts=10_000)
        writers.wait_for_writes(50)
        rebuild.finish()
        writers.wait_for_writes(50)
        go_back(rebuild)
        writers.wait_for_writes(20)
        journal = writers.stop()
    lost = journal.find_lost(database)
    assert lost == []
    attack.record("swapped and rolled back, every write kept", acknowledged=journal.acknowledged, lost=len(lost))
