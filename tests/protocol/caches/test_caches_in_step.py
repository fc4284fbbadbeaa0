"""Caches while the application reads them and writes what they are made from."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest
from support.oracles.oracle import one, traces
from support.runs.harness import Url, eventually

from protocol.caches.cached_shop import (
    CACHE,
    IN_STEP,
    Begin,
    details,
    differences,
    present,
    until,
)
from sql.ledger.tables import caches
from sql.ledger.tables.caches import Cache

pytestmark = pytest.mark.protocol


def test_changes_of_a_source_are_not_lost(start: Begin, shop: psycopg.Connection) -> None:
    # Given a cache that is kept in step, and an application that writes after every job and every turn
    rebuild = start({**IN_STEP, "chunks": 5})
    chance = random.Random(5)
    writes: list[str] = []

    def write() -> None:
        if present(rebuild).state in ("swapped", "done"):
            return
        writes.append(_write(shop, chance))

    until(rebuild, "swapped", look=write)
    # Then at the swap the cache is what the query says, though most was filled before
    assert len(set(writes)) == 3
    assert differences(shop) == []
    rebuild.finish()
    assert traces(shop) == ["replank"]
    assert one(shop, "SELECT count(*) FROM pg_class WHERE relname LIKE 'marks%'") == 0


def _write(session: psycopg.Connection[Any], chance: random.Random) -> str:
    """An insert, an update (of the key, too) or a delete of memberships."""
    user, group = f"u{chance.randint(1, 60)}", chance.randint(1, 9)
    what = chance.choice(["insert", "update", "delete"])
    statement = {
        "insert": "INSERT INTO membership VALUES (md5(%(user)s)::uuid::text, %(group)s) ON CONFLICT DO NOTHING",
        "update": "UPDATE membership m SET user_id = md5(%(user)s)::uuid::text WHERE (user_id, group_id) IN"
        " (SELECT user_id, group_id FROM membership WHERE group_id = %(group)s ORDER BY random() LIMIT 1)"
        " AND NOT EXISTS (SELECT FROM membership o WHERE o.user_id = md5(%(user)s)::uuid::text"
        " AND o.group_id = m.group_id)",
        "delete": "DELETE FROM membership WHERE user_id = md5(%(user)s)::uuid::text AND group_id = %(group)s",
    }[what]
    session.execute(statement.encode(), {"user": user, "group": group})
    return what


def test_truncate_of_a_source_empties_what_was_filled(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start({**IN_STEP, "chunks": 3})
    until(rebuild, "indexing")
    shop.execute("TRUNCATE membership")
    shop.execute("INSERT INTO membership SELECT id, 2 FROM users WHERE name = 'User 7'")
    rebuild.finish()
    assert differences(shop) == []
    assert one(shop, "SELECT count(DISTINCT user_id) FROM user_permission_cache") == 1


def test_many_marks_are_applied_before_the_lock(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start(IN_STEP)
    until(rebuild, "ready")
    rebuild.work()
    # Given more changes than may wait for the lock
    for n in range(3):
        shop.execute(
            "INSERT INTO users SELECT md5('new' || %(n)s || i)::uuid::text, 'x' FROM generate_series(1, 900) AS i",
            {"n": n},
        )
        shop.execute("INSERT INTO membership SELECT id, 1 + %(n)s FROM users ON CONFLICT DO NOTHING", {"n": n})
    rebuild.turn()
    assert len(details(rebuild, "drain")) == 1
    assert present(rebuild).state == "ready"
    rebuild.finish()
    assert differences(shop) == []


@pytest.mark.parametrize("in_step", [CACHE, IN_STEP])
def test_readers_never_see_an_empty_or_half_cache(
    database: Url, start: Begin, shop: psycopg.Connection, in_step: Mapping[str, Any]
) -> None:
    """Readers and writers in threads of their own, all the while; the swap is judged under its own lock."""
    # Otherwise the lock on users, which the cache refers to, would keep most writers out by chance.
    shop.execute("ALTER TABLE membership DROP CONSTRAINT membership_user_id_fkey")
    rebuild = start({**in_step, "chunks": 4})
    judged: list[list[tuple[Any, ...]]] = []
    seen: list[int] = []
    stop = threading.Event()
    set_swapped = caches.set_swapped

    def judge(connection: Any, cache: Cache) -> bool:
        judged.append(differences(connection))
        return set_swapped(connection, cache)

    def read() -> None:
        with psycopg.connect(database, autocommit=True) as session:
            while not stop.is_set():
                found = session.execute("SELECT count(DISTINCT user_id) FROM user_permission_cache").fetchone()
                assert found is not None
                seen.append(found[0])

    def write() -> None:
        chance = random.Random(7)
        with psycopg.connect(database, autocommit=True) as session:
            while not stop.is_set():
                _write(session, chance)

    threads = [threading.Thread(target=read)]
    if in_step is IN_STEP:
        threads.append(threading.Thread(target=write))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caches, "set_swapped", judge)
        for thread in threads:
            thread.start()
        try:
            rebuild.finish()
            eventually(lambda: len(seen) > 20, "enough reads")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert judged
    assert judged[-1] == []
    # Sixty users before and after, give or take those who have just lost their last group.
    assert min(seen) > 40


def test_a_writer_that_does_not_end_only_delays_the_marks(
    start: Begin, shop: psycopg.Connection, other: psycopg.Connection
) -> None:
    rebuild = start(IN_STEP)
    # Given a transaction that has written a source before anybody marks its changes
    other.execute("DELETE FROM membership WHERE group_id = 3")
    rebuild.turn()
    assert "waiting for a lock" in present(rebuild).problem
    assert present(rebuild).state == "planned"
    other.commit()
    rebuild.finish()
    assert differences(shop) == []


def test_a_partition_of_a_source_that_is_emptied(start: Begin, shop: psycopg.Connection) -> None:
    shop.execute("""
        CREATE TABLE sale (buyer int, at int NOT NULL) PARTITION BY RANGE (at);
        CREATE TABLE early PARTITION OF sale FOR VALUES FROM (0) TO (10);
        CREATE TABLE late PARTITION OF sale FOR VALUES FROM (10) TO (20);
        CREATE TABLE totals (buyer int PRIMARY KEY, n bigint NOT NULL);
        INSERT INTO sale SELECT n % 40, n % 20 FROM generate_series(1, 400) AS n;
    """)
    cached = {
        "kind": "table",
        "name": "totals",
        "query": "SELECT buyer, count(*) AS n FROM public.sale GROUP BY buyer",
        "chunk_by": "buyer",
        "keep_in_step": ["sale"],
    }
    rebuild = start(cached)
    until(rebuild, "ready")
    shop.execute("TRUNCATE late")
    rebuild.finish()
    assert one(shop, "SELECT sum(n) FROM totals") == 200
