"""Logical replication that applies rows to a table while it is rebuilt: captured, whether or not anybody looks."""

import psycopg
import pytest
from psycopg import conninfo
from psycopg.sql import SQL
from support.oracles.oracle import differences, live, one, past
from support.oracles.returning import go_back
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, eventually, table
from support.servers.shared import new_database

from demo.embedded import EmbeddedPostgres
from replank.errors import NeedsOperator
from replank.values.states import RunState

pytestmark = pytest.mark.protocol


class Subscription:
    """From one database of a server to another. Its rows have numbers over `base`."""

    def __init__(self, app: psycopg.Connection, source: psycopg.Connection, url: Url) -> None:
        self.app, self.source = app, source
        self.described = " ".join(f"{name}={value}" for name, value in conninfo.conninfo_to_dict(url).items())
        source.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
        source.execute("CREATE PUBLICATION all_of_it FOR TABLE t")

    def made(self, base: int) -> None:
        """Copies twenty rows, and applies an insert, an update and a delete: twenty are left."""
        self.source.execute("TRUNCATE t")
        insert = "INSERT INTO t SELECT gen_random_uuid()::text, %s + g FROM generate_series(1, 20) AS g"
        self.source.execute(insert, [base])
        self.source.execute("SELECT pg_create_logical_replication_slot('slot', 'pgoutput')")
        options = "CONNECTION {} PUBLICATION all_of_it WITH (create_slot = false, slot_name = 'slot')"
        self.app.execute(SQL("CREATE SUBSCRIPTION s " + options).format(self.described))
        eventually(lambda: one(self.app, "SELECT srsubstate::text FROM pg_subscription_rel") == "r", "they are copied")
        self.source.execute("UPDATE t SET n = n + 100 WHERE n = %s", [base + 1])
        self.source.execute("DELETE FROM t WHERE n = %s", [base + 2])
        self.source.execute("INSERT INTO t SELECT gen_random_uuid()::text, %s", [base + 200])
        last = "SELECT count(*) FROM t WHERE n = %s"
        eventually(lambda: one(self.app, last, base + 200) == 1, "changes are applied")
        assert one(self.app, "SELECT count(*) FROM t WHERE n > %s", base) == 20

    def dropped(self) -> None:
        self.app.execute("ALTER SUBSCRIPTION s DISABLE")
        self.app.execute("ALTER SUBSCRIPTION s SET (slot_name = NONE)")
        self.app.execute("DROP SUBSCRIPTION s")
        readers = "SELECT count(*) FROM pg_replication_slots WHERE active"
        eventually(lambda: one(self.source, readers) == 0, "the slot is free")
        self.source.execute("SELECT pg_drop_replication_slot('slot')")


@pytest.mark.attack("B1", "A subscription is made, applies rows, and is dropped before the cutover")
def test_what_a_subscription_applied_comes_along_and_goes_back(
    database: Url, app: psycopg.Connection, postgres: EmbeddedPostgres, attack: Attack
) -> None:
    with (
        new_database(postgres, "source") as source_url,
        psycopg.connect(source_url, autocommit=True) as source,
    ):
        app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
        app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
        subscription = Subscription(app, source, source_url)
        rebuild = Rebuild.begin(database, [table("t", "id")], {})
        try:
            rebuild.ready()
            subscription.made(1000)
            # It would apply nothing to another table of that name: so it has to go first, as the run says.
            assert rebuild.settle().state is RunState.NEEDS_OPERATOR
            assert "subscription" in rebuild.why()
            subscription.dropped()
            rebuild.retry()
            rebuild.finish()
            lost = differences(app, past("t"), live("t"), {"id"})
            assert one(app, "SELECT count(*) FROM t") == 70
            # And the same on the way back.
            subscription.made(2000)
            with pytest.raises(NeedsOperator, match=r"subscription s of public\.t"):
                go_back(rebuild)
            subscription.dropped()
            kept = app.execute("SELECT id::text, n FROM t ORDER BY 1").fetchall()
            go_back(rebuild)
            lost_back = app.execute("SELECT id, n FROM t ORDER BY 1").fetchall() != kept
        finally:
            rebuild.close()
    attack.record("its rows are captured; it is refused while it is there", tried=2, lost=len(lost) + lost_back)
    assert (lost, lost_back) == ([], False)
