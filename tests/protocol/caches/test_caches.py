"""Caches: built beside the old contents, and swapped in when every table is done."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from support.oracles.oracle import column_type, count, live, one, past, traces
from support.runs.harness import Rebuild

from monitoring.status.read_status import read_status
from protocol.caches.cached_shop import (
    ALL_UUID,
    CACHE,
    QUERY,
    SUMMARY,
    Begin,
    details,
    differences,
    present,
    until,
)
from replank.values.states import RunState
from sql.ledger.runs import runs
from sql.ledger.tables import caches
from workers.execution.outcome import Outcome

pytestmark = pytest.mark.protocol


def test_a_table_cache_is_what_its_query_says(start: Begin, shop: psycopg.Connection) -> None:
    # Given a cache with stale rows, and a plan that rebuilds nothing else
    assert differences(shop)
    rebuild = start({**CACHE, "chunks": 7})
    # When the run comes to its end
    rebuild.finish()
    # Then it holds the query's rows, filled in several chunks, and the past holds what was there
    assert differences(shop) == []
    assert len(details(rebuild, "fill", "done")) == 7
    assert count(shop, past("user_permission_cache")) == 60
    assert one(shop, "SELECT count(*) FROM replank_past.user_permission_cache WHERE permission = 'stale'") == 60


def test_everything_that_hangs_on_the_cache_is_as_before(start: Begin, shop: psycopg.Connection) -> None:
    shop.execute("CREATE VIEW busy AS SELECT user_id FROM user_permission_cache WHERE granted > 1")
    shop.execute("CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    shop.execute("CREATE TRIGGER t BEFORE UPDATE ON user_permission_cache FOR EACH ROW EXECUTE FUNCTION touched()")
    shop.execute("CREATE ROLE cache_reader")
    try:
        shop.execute("GRANT SELECT ON user_permission_cache TO cache_reader")
        before = _catalogue(shop)
        rebuild = start(CACHE)
        rebuild.finish()
        assert _catalogue(shop) == before
        assert one(shop, "SELECT count(*) FROM busy") == one(
            shop, "SELECT count(*) FROM user_permission_cache WHERE granted > 1"
        )
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            shop.execute("INSERT INTO user_permission_cache VALUES ('nobody', 'x', 1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            shop.execute(
                "INSERT INTO user_permission_cache SELECT user_id, permission, 1 FROM user_permission_cache LIMIT 1"
            )
    finally:
        shop.execute("DROP OWNED BY cache_reader")
        shop.execute("DROP ROLE cache_reader")


def _catalogue(shop: psycopg.Connection) -> list[tuple[Any, ...]]:
    return shop.execute("""
        WITH t AS (SELECT 'public.user_permission_cache'::regclass AS oid)
        SELECT 'index', pg_get_indexdef(indexrelid), obj_description(indexrelid, 'pg_class') FROM t, pg_index
         WHERE indrelid = t.oid
        UNION ALL SELECT conname, pg_get_constraintdef(c.oid), convalidated::text FROM t, pg_constraint c
         WHERE conrelid = t.oid
        UNION ALL SELECT attname, format_type(atttypid, atttypmod), col_description(t.oid, attnum) FROM t, pg_attribute
         WHERE attrelid = t.oid AND attnum > 0
        UNION ALL SELECT 'table', relacl::text, coalesce(reloptions::text, '') || obj_description(t.oid, 'pg_class')
          FROM t JOIN pg_class c USING (oid)
        UNION ALL SELECT tgname, pg_get_triggerdef(tg.oid), tgenabled::text FROM t, pg_trigger tg
         WHERE tgrelid = t.oid AND NOT tgisinternal
        ORDER BY 1, 2
    """).fetchall()


def test_the_run_is_done_only_when_its_caches_are(start: Begin, shop: psycopg.Connection) -> None:
    # Given tables that are converted, the cache's own among them, and two caches
    rebuild = start(CACHE, SUMMARY, tables=ALL_UUID)
    # Then no job of a cache exists before every table is done
    until(
        rebuild,
        "building",
        look=lambda: None if all(t.state == "done" for t in rebuild.tables) else _nothing_begun(rebuild),
    )
    assert all(table.state == "done" for table in rebuild.tables)
    # And the view, which may read tables, waits for the table
    assert present(rebuild, 2).state == "planned"
    until(rebuild, "done")
    assert rebuild.run.state is RunState.RUNNING
    rebuild.finish()
    assert present(rebuild, 2).state == "done"
    assert differences(shop) == []
    assert column_type(shop, live("user_permission_cache"), "user_id") == "uuid"
    # And both pasts are there: that of the conversion with its texts, and that of the rebuilt contents
    assert column_type(shop, past("user_permission_cache"), "user_id") == "text"
    assert count(shop, ("replank_past_cache", "user_permission_cache")) == 60


def _nothing_begun(rebuild: Rebuild) -> None:
    assert {cache.state for cache in caches.read_caches(rebuild.connection, rebuild.run_id)} == {"planned"}
    assert rebuild.jobs("cache") == []


def test_a_refresh_keeps_no_reader_waiting(start: Begin, shop: psycopg.Connection, other: psycopg.Connection) -> None:
    rebuild = start(SUMMARY)
    shop.execute("INSERT INTO permission VALUES (1, 'a new one')")
    # Given a reader in the middle of its transaction
    other.execute("SELECT * FROM permission_summary")
    # When the view is refreshed, then nobody waits for anybody
    rebuild.finish()
    assert one(shop, "SELECT groups FROM permission_summary WHERE name = 'a new one'") == 1
    assert other.execute("SELECT 1 FROM permission_summary LIMIT 1").fetchone() == (1,)


def test_a_plain_refresh_only_if_the_plan_says_so(
    start: Begin, shop: psycopg.Connection, other: psycopg.Connection
) -> None:
    shop.execute("DROP INDEX permission_summary_name_idx")
    rebuild = start({**SUMMARY, "concurrently": False})
    other.execute("SELECT * FROM permission_summary")
    until(rebuild, "building")
    (job,) = details(rebuild, "refresh")
    # It waits for a reader, gives up and comes again
    rebuild.worker.settings.__dict__["lock_timeout_ms"] = 50
    assert rebuild.execute(job) is Outcome.AGAIN
    other.rollback()
    rebuild.finish()


@pytest.mark.contrib
def test_prewarm_reads_tables_and_their_indexes(start: Begin, shop: psycopg.Connection) -> None:
    shop.execute("CREATE EXTENSION pg_prewarm")
    rebuild = start({"kind": "prewarm"}, {"kind": "prewarm", "name": "one", "tables": ["permission"]}, tables=ALL_UUID)
    rebuild.finish()
    found = shop.execute(
        "SELECT c.name, j.detail ->> 'name', (j.result ->> 'blocks')::int FROM replank.job j"
        " JOIN replank.cache c USING (run_id, cache_no) ORDER BY 1, 2"
    ).fetchall()
    size = "SELECT sum(pg_total_relation_size(%s::regclass) / 8192)::int"
    tables = ("membership", "user_permission_cache", "users")
    # The free space and visibility maps, which it does not read, are few blocks.
    sizes = {name: one(shop, size, name) for name in (*tables, "permission")}
    assert [(cache, table) for cache, table, _ in found] == [("one", "permission"), *(("prewarm", t) for t in tables)]
    assert all(0 < blocks <= int(str(sizes[table])) for _, table, blocks in found)


def test_after_orders_caches_of_one_kind(start: Begin, shop: psycopg.Connection) -> None:
    shop.execute("CREATE TABLE counted (permission text PRIMARY KEY, users bigint NOT NULL)")
    second = {
        "kind": "table",
        "name": "counted",
        "query": "SELECT permission, count(*) AS users FROM public.user_permission_cache GROUP BY permission",
        "after": ["user_permission_cache"],
    }
    rebuild = start(CACHE, second)
    until(rebuild, "ready")
    assert present(rebuild, 2).state == "planned"
    rebuild.finish()
    assert one(shop, "SELECT sum(users) FROM counted") == one(shop, "SELECT count(*) FROM user_permission_cache")


def test_rows_without_a_value_to_cut_by_are_kept(start: Begin, shop: psycopg.Connection) -> None:
    shop.execute("CREATE TABLE named (kind text, n bigint NOT NULL)")
    shop.execute("CREATE TABLE thing (kind text)")
    shop.execute("INSERT INTO thing SELECT nullif('k' || n % 5, 'k0') FROM generate_series(1, 100) AS n")
    cached = {
        "kind": "table",
        "name": "named",
        "query": "SELECT kind, count(*) AS n FROM public.thing GROUP BY kind",
        "chunk_by": "kind",
        "chunks": 3,
        "keep_in_step": ["thing"],
    }
    rebuild = start(cached)
    until(rebuild, "ready")
    assert shop.execute("SELECT n FROM replank_next.named WHERE kind IS NULL").fetchall() == [(20,)]
    shop.execute("INSERT INTO thing VALUES (NULL), ('k9')")
    rebuild.finish()
    found = shop.execute("SELECT kind, n FROM named ORDER BY kind").fetchall()
    assert found == [("k1", 20), ("k2", 20), ("k3", 20), ("k4", 20), ("k9", 1), (None, 21)]


def test_hit_rates_are_kept(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start({**CACHE, "hits": "hit_count", "misses": "miss_count"}, SUMMARY, tables=ALL_UUID)
    shown = read_status(rebuild.connection).to_json()
    assert shown["caches"][0]["hits"]["before"] == {"of": "counters", "hits": 420, "misses": 180, "rate": 0.7}
    assert shown["hits"]["before"]["of"] == "blocks"
    until(rebuild, "ready")
    # A session tells the server's counters at most once a second, unless it is asked to.
    shop.execute("SELECT count(*), pg_stat_force_next_flush() FROM users")
    rebuild.finish()
    shown = read_status(rebuild.connection).to_json()
    assert shown["caches"][0]["hits"]["after"]["rate"] == 0.7
    assert shown["caches"][0]["state"] == "done"
    assert shown["caches"][0]["jobs_done"] == shown["caches"][0]["jobs_total"]
    assert shown["hits"]["after"]["hits"] > 0
    assert shown["eta_s"] is None


def test_odd_names_and_columns_and_a_partitioned_source(start: Begin, shop: psycopg.Connection) -> None:
    shop.execute("""
        CREATE SCHEMA "Odd %s";
        CREATE TABLE "Odd %s".sale (buyer int, at int NOT NULL, amount int) PARTITION BY RANGE (at);
        CREATE TABLE "Odd %s".early PARTITION OF "Odd %s".sale FOR VALUES FROM (0) TO (10);
        CREATE TABLE "Odd %s".late PARTITION OF "Odd %s".sale FOR VALUES FROM (10) TO (20);
        CREATE TABLE "Odd %s"."The Totals" (
            no int GENERATED ALWAYS AS IDENTITY, buyer int UNIQUE, total bigint,
            twice bigint GENERATED ALWAYS AS (total * 2) STORED, nth serial);
        CREATE TABLE refers (buyer int REFERENCES "Odd %s"."The Totals" (buyer));
        INSERT INTO "Odd %s".sale SELECT n % 40, n % 20, 1 FROM generate_series(1, 400) AS n;
    """)
    cached = {
        "kind": "table",
        "schema": "Odd %s",
        "name": "The Totals",
        "query": 'SELECT buyer AS no, buyer, sum(amount) AS total FROM "Odd %s".sale GROUP BY buyer',
        "chunk_by": "buyer",
        "chunks": 4,
        "keep_in_step": [{"schema": "Odd %s", "name": "sale"}],
    }
    rebuild = start(cached)
    until(rebuild, "ready")
    shop.execute('INSERT INTO "Odd %s".early VALUES (1, 1, 1000)')
    shop.execute('UPDATE "Odd %s".sale SET buyer = 99 WHERE buyer = 2')
    rebuild.finish()
    query = 'SELECT buyer, total, twice FROM "Odd %s"."The Totals" WHERE buyer IN (1, 2, 99) ORDER BY 1'
    assert shop.execute(query).fetchall() == [(1, 1010, 2020), (99, 10, 20)]
    assert one(shop, 'SELECT count(*) FROM "replank_past_Odd %s"."The Totals"') == 0
    shop.execute("INSERT INTO refers VALUES (99)")
    assert traces(shop) == ["replank"]


def test_the_swap_of_a_cache_waits_for_its_word(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start(CACHE)
    runs.set_hold(rebuild.connection, rebuild.run_id, hold_cutover=True)
    until(rebuild, "ready")
    rebuild.work()
    for _ in range(5):
        rebuild.turn()
    assert present(rebuild).state == "ready"
    assert rebuild.run.state is RunState.RUNNING
    rebuild.finish()
    assert differences(shop) == []


def test_stale_values_that_are_none_of_the_query_s_type_do_no_harm(start: Begin, shop: psycopg.Connection) -> None:
    # Given a cache of texts, one of which is no uuid, and a query that gives uuids
    shop.execute("ALTER TABLE user_permission_cache DROP CONSTRAINT user_permission_cache_user_id_fkey")
    rebuild = start({**CACHE, "query": QUERY.replace("SELECT m.user_id,", "SELECT m.user_id::uuid,")})
    shop.execute("INSERT INTO user_permission_cache VALUES ('nobody at all', 'x', 1)")
    rebuild.finish()
    assert differences(shop) == []
    assert len(details(rebuild, "fill", "done")) == 16
