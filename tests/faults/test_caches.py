"""Caches end to end: real workers, a Redis of the application's beside the broker, and what may be lost on the way."""

import os
from collections.abc import Iterator

import psutil
import psycopg
import pytest
import redis
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import differences, write_plan

from demo.embedded import EmbeddedValkey
from faults.broker_view import flush

pytestmark = pytest.mark.faults

KEYS = 5_000
OTHERS = 700
VARIABLE = "TEST_APP_CACHE_URL"

QUERY = "SELECT customer_id, count(*) AS orders, max(number) AS latest FROM public.orders GROUP BY customer_id"

CACHES = f"""
[[caches]]
kind = "table"
name = "orders_of_customer"
query = "{QUERY}"
chunk_by = "customer_id"
chunks = 6
keep_in_step = ["orders"]
[[caches]]
kind = "materialized_view"
name = "order_numbers"
[[caches]]
kind = "prewarm"
[[caches]]
kind = "redis"
url_env = "{VARIABLE}"
pattern = "perm:*"
rate = 20000
"""

TABLES = """
CREATE TABLE orders_of_customer (
    customer_id text PRIMARY KEY REFERENCES customers, orders bigint NOT NULL, latest int NOT NULL);
CREATE MATERIALIZED VIEW order_numbers AS SELECT number, note FROM orders WHERE number % 10 = 0;
CREATE UNIQUE INDEX ON order_numbers (number);
CREATE EXTENSION pg_prewarm;
"""


@pytest.fixture
def cached_site(site: Site) -> Site:
    """The small shop with caches that hold nothing yet, their columns converted with the tables'."""
    with psycopg.connect(site.database_url) as connection:
        connection.execute(TABLES)
    extra = '[[tables]]\nname = "orders_of_customer"\n[[tables.columns]]\nname = "customer_id"\nto = "uuid"\n' + CACHES
    write_plan(site.plan, database=site.database_url.rpartition("/")[2], extra=extra)
    return site


@pytest.fixture
def keys(broker: EmbeddedValkey) -> Iterator[str]:
    """The URL of the application's keys, in a second database of the server that is the broker."""
    url = broker.url().removesuffix("/0") + "/1"
    with redis.Redis.from_url(url) as client:
        with client.pipeline(transaction=False) as pipeline:
            for number in range(KEYS):
                pipeline.set(f"perm:{number}", "x")
            for number in range(OTHERS):
                pipeline.set(f"session:{number}:perm:", "x")
            pipeline.execute()
        yield url
        client.flushdb()


def _keys(url: str, pattern: str) -> int:
    with redis.Redis.from_url(url) as client:
        return sum(1 for _ in client.scan_iter(pattern, count=1_000))


def _cache_differs(url: str) -> list[object]:
    with psycopg.connect(url) as connection:
        return list(
            connection.execute(
                f"(SELECT * FROM orders_of_customer EXCEPT ALL {QUERY})"  # noqa: S608
                f" UNION ALL ({QUERY} EXCEPT ALL SELECT * FROM orders_of_customer)".encode()
            ).fetchall()
        )


def test_a_run_with_caches_of_every_kind(cached_site: Site, ledger: LedgerView, keys: str) -> None:
    # When the tables are converted and all caches rebuilt by real workers
    run = cached_site.run(workers=2, **{VARIABLE: keys})
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    # Then the tables are what they should be, and the cache is what its query says
    assert differences(cached_site.database_url) == []
    assert _cache_differs(cached_site.database_url) == []
    assert ledger.number("SELECT count(*) FROM order_numbers") > 0
    # And the keys that match are gone, the others are not
    assert _keys(keys, "perm:*") == 0
    assert _keys(keys, "*") == OTHERS
    assert ledger.number("SELECT rows FROM replank.job WHERE detail ->> 'what' = 'redis'") == KEYS
    # And the status says so, without a password anywhere
    shown = finished.document
    assert {cache["name"]: cache["state"] for cache in shown["caches"]} == {
        "public.orders_of_customer": "done",
        "public.order_numbers": "done",
        "prewarm": "done",
        "redis": "done",
    }
    assert shown["hits"]["after"]["rate"] is not None
    screen = cached_site.call("status").stderr
    assert "cache public.orders_of_customer done" in screen
    assert "blocks of the tables found in memory" in screen
    password = keys.partition("redis://:")[2].partition("@")[0]
    dumped = str(ledger.rows("SELECT * FROM replank.cache")) + str(ledger.rows("SELECT * FROM replank.event"))
    assert password not in finished.stderr + finished.stdout + screen + dumped + str(
        ledger.rows("SELECT * FROM replank.job WHERE kind = 'cache'")
    )
    # And the table that was replaced twice is as the plan says
    changes = cached_site.call("catalogue-diff", "--json").document["explained"]
    of_cache = [change for change in changes if "public.orders_of_customer" in change["object"]]
    assert [change["reason"] for change in of_cache] == ["the plan makes it uuid"]
    # And the same command once more changes nothing
    again = cached_site.run(workers=0, **{VARIABLE: keys}).wait()
    assert again.exit_code == 0
    assert "is already done" in again.stderr


def test_a_killed_worker_and_an_emptied_broker_cost_only_time(
    cached_site: Site, ledger: LedgerView, broker: EmbeddedValkey, keys: str
) -> None:
    # Given a run whose cache cannot be filled, because its next table is locked as soon as it is there
    run = cached_site.run(workers=2, **{VARIABLE: keys})
    wait_for(
        "the cache to be filled",
        lambda: ledger.number("SELECT count(*) FROM replank.cache WHERE state = 'building' AND kind = 'table'"),
        explain=ledger.explain,
    )
    with locked(cached_site.database_url, "replank_next", "orders_of_customer"):
        # A job that only cuts would be done by now
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'replank_next.orders_of_customer'::regclass"
        )
        wait_for("a worker to wait for the table", lambda: ledger.number(waiting), explain=ledger.explain)
        lease = wait_for(
            "a worker to fill", lambda: [one for one in ledger.leases() if one.kind == "cache"], explain=ledger.explain
        )[0]
        # When the worker is killed in the middle of it, and the broker loses everything
        psutil.Process(lease.process).kill()
        flush(broker)
        with redis.Redis.from_url(keys) as client:
            client.mset({f"perm:{number}": "x" for number in range(KEYS)})
    # Then nobody has to do anything
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert _cache_differs(cached_site.database_url) == []
    assert ledger.interrupted_jobs() >= 1
    assert _keys(keys, "perm:*") == 0


def test_a_worker_without_the_variable_says_so_and_the_run_goes_on_later(
    cached_site: Site, ledger: LedgerView, keys: str
) -> None:
    # Given a coordinator that knows the cache's URL, and a worker on another host that does not
    assert VARIABLE not in os.environ
    run = cached_site.run(workers=0, **{VARIABLE: keys})
    worker = cached_site.worker("--concurrency=2")
    stopped = run.wait()
    assert stopped.exit_code == 1
    assert f"in this worker: the environment variable {VARIABLE} is not set" in stopped.stderr
    assert ledger.run_state() == "needs_operator"
    # When a worker that knows it takes its place, and an operator retries
    worker.end()
    assert cached_site.call("retry").exit_code == 0
    finished = cached_site.run(workers=1, **{VARIABLE: keys}).wait()
    assert finished.exit_code == 0, finished.stderr
    assert _keys(keys, "perm:*") == 0


def test_run_refuses_before_the_first_write(cached_site: Site, ledger: LedgerView) -> None:
    refused = cached_site.run(workers=0).wait()
    assert refused.exit_code == 1
    assert f"cache_environment cache redis: the environment variable {VARIABLE} is not set" in refused.stderr
    unreachable = cached_site.run(workers=0, **{VARIABLE: "redis://:secret@127.0.0.1:1/0"}).wait()
    assert unreachable.exit_code == 1
    assert f"redis://127.0.0.1:1 ({VARIABLE}) does not answer" in unreachable.stderr
    assert "secret" not in unreachable.stderr
    assert ledger.number("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0


def test_a_slow_deletion_is_not_taken_for_an_idle_one(cached_site: Site, ledger: LedgerView, keys: str) -> None:
    """A session that only waits for a Redis is idle: its lease is renewed, or another worker would begin anew."""
    text = cached_site.plan.read_text(encoding="utf-8")
    cached_site.plan.write_text(text.replace("rate = 20000", "rate = 1000"), encoding="utf-8")
    finished = cached_site.run(workers=1, **{VARIABLE: keys, "REPLANK_LEASE_S": "1"}).wait()
    assert finished.exit_code == 0, finished.stderr
    of_redis = "FROM replank.job WHERE detail ->> 'what' = 'redis'"
    assert ledger.rows(f"SELECT attempt, rows {of_redis}") == [(1, KEYS)]
    assert ledger.number(f"SELECT extract(epoch FROM finished_at - started_at)::int {of_redis}") >= 4  # noqa: S608
    assert _keys(keys, "perm:*") == 0


def test_a_plan_of_caches_alone_is_a_run_of_its_own(cached_site: Site, ledger: LedgerView) -> None:
    # Given a plan that names no tables, and a rollback of its run before anything is swapped
    name = cached_site.database_url.rpartition("/")[2]
    only_caches = CACHES[: CACHES.index('[[caches]]\nkind = "prewarm"')]
    cached_site.plan.write_text(f'version = 1\n[database]\nname = "{name}"\n{only_caches}', encoding="utf-8")
    checked = cached_site.call("check", str(cached_site.plan))
    assert checked.exit_code == 0, checked.stderr
    held = cached_site.run("--hold-cutover", workers=1)
    wait_for(
        "the cache to be ready",
        lambda: ledger.number("SELECT count(*) FROM replank.cache WHERE state = 'ready'"),
        explain=ledger.explain,
    )
    assert cached_site.call("rollback", "--yes", "--forget").exit_code == 0
    assert held.wait().exit_code == 1
    assert ledger.number("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0
    assert ledger.number("SELECT count(*) FROM orders_of_customer") == 0
    # When it runs to its end
    finished = cached_site.run(workers=2).wait()
    assert finished.exit_code == 0, finished.stderr
    assert _cache_differs(cached_site.database_url) == []
    assert (finished.document["state"], finished.document["tables"]) == ("done", [])
    # Then it cannot be undone, and a next one asks for its names
    assert cached_site.call("rollback", "--yes", "--forget").exit_code == 2
    cached_site.plan.write_text(cached_site.plan.read_text() + "# \n[options]\nchunk_mb = 2\n", encoding="utf-8")
    again = cached_site.run(workers=0).wait()
    assert again.exit_code == 1
    assert "name_taken" in again.stderr
