"""Tables are partitioned, partitioned otherwise, or made plain, in the pass that converts and fills their columns."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors
from support.oracles.journal_oracle import foreign_keys_hold
from support.oracles.oracle import count, differences, live, on, one, past, traces
from support.runs.harness import Rebuild, Url, table

from producer.check.check import examine
from producer.planning.prepared_run import prepare_run
from producer.planning.resolution import PlanFile
from producer.rollback.rollback import roll_back
from replank.errors import NeedsOperator, WrongUse
from replank.plan.plan import DatabasePlan, Plan
from replank.values.states import RunState, TableState
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

ORDERS = """
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE customer (id text PRIMARY KEY, n int UNIQUE);
CREATE TABLE orders (
  id text PRIMARY KEY DEFAULT gen_random_uuid()::text, at timestamptz NOT NULL DEFAULT now(), region text NOT NULL,
  n bigint GENERATED ALWAYS AS IDENTITY, customer_id text CONSTRAINT to_customer REFERENCES customer,
  email text, amount numeric CONSTRAINT amount_is_sane CHECK (amount < 1000000),
  twice numeric GENERATED ALWAYS AS (amount * 2) STORED, note text) WITH (fillfactor = 80);
CREATE UNIQUE INDEX orders_email ON orders (lower(email)) WHERE email IS NOT NULL;
CREATE INDEX orders_at ON orders (at DESC, region) INCLUDE (amount);
CREATE INDEX "Odd ""name"" %" ON orders ((abs(n) + 1), region COLLATE "C" text_pattern_ops) WHERE note <> 'ON x (';
ALTER TABLE orders ADD CONSTRAINT number_once UNIQUE (n) INCLUDE (region) DEFERRABLE;
ALTER TABLE orders ALTER COLUMN region SET STATISTICS 55;
ALTER TABLE orders ADD CONSTRAINT late CHECK (amount <> 17) NOT VALID;
COMMENT ON TABLE orders IS 'what is ordered';
COMMENT ON INDEX orders_at IS 'newest first';
COMMENT ON CONSTRAINT number_once ON orders IS 'one each';
GRANT SELECT ON orders TO PUBLIC;
CREATE TRIGGER touch BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f('x');
CREATE TABLE item (id text PRIMARY KEY, order_id text CONSTRAINT of_order REFERENCES orders ON DELETE CASCADE);
INSERT INTO customer SELECT gen_random_uuid()::text, g FROM generate_series(1, 20) AS g;
INSERT INTO orders (at, region, customer_id, email, amount)
  SELECT timestamptz '2024-11-28 12:00Z' + g * interval '9 hours', (ARRAY['de', 'fr', 'us', 'xx'])[g % 4 + 1], c.id,
         'mail' || g || '@example.org', g FROM generate_series(18, 400) AS g JOIN customer c ON c.n = g % 20 + 1;
INSERT INTO item SELECT gen_random_uuid()::text, id FROM orders WHERE n % 3 = 0
"""
CONVERTED = {"customer": {"id"}, "orders": {"id", "customer_id"}, "item": {"id", "order_id"}}

MONTHS: dict[str, Any] = {
    "by": "range",
    "column": "at",
    "every": "month",
    "timezone": "Europe/Berlin",
    "consent": ["uniqueness", "foreign_keys"],
}
KINDS: dict[str, dict[str, Any]] = {
    "months": MONTHS,
    "bounds": {
        "by": "range",
        "column": "at",
        "bounds": ["2024-11-01", "2025-01-01T00:00:00+01:00", "2025-03-01"],
        "timezone": "Europe/Berlin",
        "consent": ["uniqueness", "foreign_keys"],
    },
    "hash": {"by": "hash", "column": "id", "count": 5, "consent": ["uniqueness"]},
    "list": {
        "by": "list",
        "column": "region",
        "values": {"eu": ["de", "fr"], "us": ["us"]},
        "consent": ["uniqueness", "foreign_keys"],
    },
    "range of ids": {
        "by": "range",
        "column": "id",
        "bounds": [f"{digit}0000000-0000-0000-0000-000000000000" for digit in "048c"],
        "consent": ["uniqueness"],
    },
}
PLACE = {
    "months": "CASE WHEN at >= '2024-10-31 23:00Z' AND at AT TIME ZONE 'Europe/Berlin' < date_trunc('month', now()) +"
    " interval '4 months'"
    " THEN to_char(at AT TIME ZONE 'Europe/Berlin', '\"orders_\"YYYY_MM') ELSE 'orders_default' END",
    "bounds": "CASE WHEN at < '2024-10-31 23:00Z' THEN 'orders_default' WHEN at < '2024-12-31 23:00Z' THEN 'orders_p0'"
    " WHEN at < '2025-02-28 23:00Z' THEN 'orders_p1' ELSE 'orders_default' END",
    "list": "CASE WHEN region IN ('de', 'fr') THEN 'orders_eu' WHEN region = 'us' THEN 'orders_us'"
    " ELSE 'orders_default' END",
    "range of ids": "CASE WHEN id::text < '4' THEN 'orders_p0' WHEN id::text < '8' THEN 'orders_p1'"
    " WHEN id::text < 'c' THEN 'orders_p2' ELSE 'orders_default' END",
}
"""Where each row has to lie, said in SQL that knows nothing of how the partitions were computed."""

WRITES = (
    "INSERT INTO orders (at, region, email, amount) VALUES ('2024-12-31 23:00Z', 'us', 'edge@example.org', 5001),"
    " ('2024-12-31 22:59:59.999Z', 'none', NULL, 5002), ('2051-05-05', 'zz', NULL, 5003),"
    " ('2020-01-01', 'de', NULL, 5004)",
    "UPDATE orders SET at = at + interval '40 days' WHERE amount % 11 = 0",
    "UPDATE orders SET region = 'us' WHERE amount % 13 = 0",
    "UPDATE orders SET id = gen_random_uuid()::text WHERE amount % 29 = 0 AND id NOT IN (SELECT order_id FROM item)",
    "DELETE FROM orders WHERE amount % 10 = 3 AND id NOT IN (SELECT order_id FROM item)",
    "DELETE FROM orders WHERE amount = 48",
    "INSERT INTO item SELECT gen_random_uuid()::text, id FROM orders WHERE amount = 5001",
)
STATES = [TableState.CAPTURED, TableState.COPYING, TableState.FIRST_DRAIN, TableState.INDEXING, TableState.READY]


@pytest.fixture
def orders(app: psycopg.Connection) -> None:
    _script(app, ORDERS)


def _script(app: psycopg.Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        app.execute(statement.encode())


def _planned(partition: dict[str, Any]) -> list[Any]:
    return [
        table(name, *sorted(columns), **({"partition": partition} if name == "orders" else {}))
        for name, columns in CONVERTED.items()
    ]


def _misplaced(app: psycopg.Connection, expected: str) -> list[tuple[object, ...]]:
    """Rows of `orders` that lie elsewhere than they should."""
    asked = f"SELECT c.relname, {expected}, o.* FROM orders o JOIN pg_class c ON c.oid = o.tableoid"  # noqa: S608
    return [row for row in app.execute(asked.encode()).fetchall() if row[0] != row[1]]


def _indexes(app: psycopg.Connection, name: str) -> dict[str, str]:
    found = app.execute(
        "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass AND i.indisvalid",
        [name],
    )
    return dict(found.fetchall())


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize(
    ("kind", "state"),
    [("months", state) for state in STATES]
    + [(kind, state) for kind in sorted(KINDS) for state in (TableState.COPYING, TableState.READY) if kind != "months"],
)
def test_gotcha_43_a_plain_table_becomes_partitioned_under_writes(
    app: psycopg.Connection, begin: Begin, database: Url, kind: str, state: TableState
) -> None:
    rebuild = begin(*_planned(KINDS[kind]))
    rebuild.until(state)
    for statement in WRITES:
        app.execute(statement.encode())
    rebuild.finish()
    for name, columns in CONVERTED.items():
        assert differences(app, past(name), live(name), columns) == []
    if kind in PLACE:
        assert _misplaced(app, PLACE[kind]) == []
    assert one(app, "SELECT count(DISTINCT tableoid) > 2 FROM orders")
    assert foreign_keys_hold(database) == []


@pytest.mark.core
@pytest.mark.usefixtures("orders")
def test_indexes_constraints_and_the_rest_are_as_wanted(app: psycopg.Connection, begin: Begin) -> None:
    begin(*_planned(MONTHS)).finish()
    constraints = dict(
        app.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = 'orders'::regclass AND contype <> 'n'"
        ).fetchall()
    )
    assert constraints == {
        "orders_pkey": "PRIMARY KEY (id, at)",
        "number_once": "UNIQUE (n, at) INCLUDE (region) DEFERRABLE",
        "amount_is_sane": "CHECK ((amount < (1000000)::numeric))",
        "late": "CHECK ((amount <> (17)::numeric)) NOT VALID",
        "to_customer": "FOREIGN KEY (customer_id) REFERENCES customer(id)",
    }
    was, became = _indexes(app, "replank_past.orders"), _indexes(app, "orders")
    assert set(was) == set(became)
    for name, definition in became.items():
        if name in ("orders_at", 'Odd "name" %'):
            expected = was[name].replace(" ON replank_past.orders", " ON ONLY public.orders")
            assert definition == expected
    assert became["orders_email"].startswith(
        "CREATE INDEX orders_email ON ONLY public.orders USING btree (lower(email))"
    )
    leaf = _indexes(app, "orders_2025_01")
    assert len(leaf) == len(became)
    assert {"orders_2025_01_pkey", "orders_2025_01_at", "orders_2025_01_email", "orders_2025_01_number_once"} <= set(
        leaf
    )
    assert one(app, "SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid::regclass::text LIKE 'orders%'")
    assert one(app, "SELECT obj_description('orders'::regclass)") == "what is ordered"
    assert one(app, "SELECT obj_description('orders_at'::regclass)") == "newest first"
    assert one(app, "SELECT obj_description('orders_2025_01'::regclass)") is None
    assert one(app, "SELECT reloptions FROM pg_class WHERE relname = 'orders_2025_01'") == ["fillfactor=80"]
    assert one(app, "SELECT reloptions FROM pg_class WHERE oid = 'replank_past.orders'::regclass") == ["fillfactor=80"]
    targets = "SELECT count(*) FROM pg_attribute WHERE attname = 'region' AND attstattarget = 55"
    assert one(app, targets + " AND attrelid::regclass::text LIKE 'orders%'") == 1 + one(
        app, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'orders'::regclass"
    )
    assert one(app, "SELECT relacl::text FROM pg_class WHERE oid = 'orders'::regclass") == one(
        app, "SELECT relacl::text FROM pg_class WHERE oid = 'replank_past.orders'::regclass"
    )
    assert one(app, "SELECT count(*) FROM pg_trigger WHERE tgname = 'touch' AND tgrelid = 'orders'::regclass") == 1
    following = one(app, "SELECT max(n) + 1 FROM orders")
    assert one(app, "INSERT INTO orders (region, amount) VALUES ('us', 1) RETURNING n") == following
    with pytest.raises(errors.CheckViolation):
        app.execute("INSERT INTO orders (region, amount) VALUES ('us', 17)")
    with pytest.raises(errors.ForeignKeyViolation):
        app.execute("INSERT INTO orders (region, customer_id) VALUES ('us', gen_random_uuid())")
    assert traces(app) == ["replank"]


@pytest.mark.usefixtures("orders")
def test_what_is_given_up_is_said(app: psycopg.Connection, begin: Begin) -> None:
    begin(*_planned(MONTHS)).finish()
    assert (
        one(app, "SELECT count(*) FROM pg_constraint WHERE conname = 'of_order' AND conrelid = 'item'::regclass") == 0
    )
    said = "SELECT message FROM replank.event WHERE kind = 'consent'"
    assert one(app, said) == "foreign key of_order of public.item is dropped at the swap"
    assert one(
        app, "SELECT count(*) FROM pg_constraint WHERE conrelid = 'replank_past.item'::regclass AND contype = 'f'"
    )


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("kind", ["hash", "range of ids"])
def test_gotcha_40_41_foreign_keys_to_the_partition_column_are_kept(
    app: psycopg.Connection, begin: Begin, kind: str
) -> None:
    begin(*_planned(KINDS[kind])).finish()
    found = one(
        app,
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conname = 'orders_pkey' AND conrelid = 'orders'::regclass",
    )
    assert found == "PRIMARY KEY (id)"
    kept = "SELECT convalidated FROM pg_constraint WHERE conname = 'of_order' AND conrelid = 'item'::regclass"
    assert one(app, kept) is True
    with pytest.raises(errors.ForeignKeyViolation):
        app.execute("INSERT INTO item VALUES (gen_random_uuid(), gen_random_uuid())")
    before = count(app, live("item"))
    app.execute("DELETE FROM orders WHERE id = (SELECT min(order_id::text)::uuid FROM item)")
    assert count(app, live("item")) == before - 1


@pytest.mark.core
@pytest.mark.usefixtures("orders")
def test_a_table_is_partitioned_again_and_again(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    """Plain, by months, by hash, plain: each run begins with what the one before has left."""
    plans: list[dict[str, Any]] = [
        MONTHS,
        {"by": "range", "column": "at", "every": "week", "timezone": "UTC", "ahead": 1},
        {"by": "hash", "column": "id", "count": 3, "consent": ["uniqueness"]},
        {"by": "none"},
    ]
    expected: list[tuple[object, ...]] = []
    for number, plan in enumerate(plans):
        rebuild = begin(*(_planned(plan) if number == 0 else [table("orders", partition=plan)]))
        rebuild.until(TableState.COPYING)
        app.execute("UPDATE orders SET at = at + interval '5 days', note = %s WHERE n %% 7 = 0", [f"run {number}"])
        rebuild.until(TableState.READY)
        app.execute("INSERT INTO orders (region, amount) VALUES ('us', %s)", [600000 + number])
        app.execute("DELETE FROM orders WHERE n = %s", [number + 1])
        expected = app.execute("SELECT id::text, at, n, amount, note FROM orders ORDER BY n").fetchall()
        rebuild.finish()
        assert app.execute("SELECT id::text, at, n, amount, note FROM orders ORDER BY n").fetchall() == expected
        assert differences(app, past("orders"), live("orders"), CONVERTED["orders"] if number == 0 else set()) == []
        assert foreign_keys_hold(database) == []
        app.execute("DROP SCHEMA replank_past CASCADE")
    assert one(app, "SELECT relkind::text FROM pg_class WHERE oid = 'orders'::regclass") == "r"
    assert one(app, "SELECT count(*) FROM pg_class WHERE relname LIKE 'orders_20%'") == 0
    assert set(_indexes(app, "orders")) == {"orders_pkey", "orders_email", "orders_at", 'Odd "name" %', "number_once"}
    assert one(app, "INSERT INTO orders (region) VALUES ('us') RETURNING n") == one(app, "SELECT max(n) FROM orders")


@pytest.mark.usefixtures("orders")
def test_a_partitioned_table_with_foreign_keys_becomes_plain(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    begin(*_planned(KINDS["hash"])).finish()
    app.execute("DROP SCHEMA replank_past CASCADE")
    app.execute("ALTER TABLE orders_p1 SET (autovacuum_enabled = false)")
    added = {"name": "x", "type": "int", "default": "7"}
    rebuild = begin(table("orders", partition={"by": "none"}), table("item", add=[added], method="rebuild"))
    rebuild.until(TableState.COPYING)
    app.execute("DELETE FROM orders WHERE n < 30")
    rebuild.finish()
    assert differences(app, past("orders"), live("orders"), set()) == []
    assert foreign_keys_hold(database) == []
    assert one(app, "SELECT reloptions FROM pg_class WHERE oid = 'orders'::regclass") is None
    kept = "SELECT reloptions FROM pg_class WHERE oid = 'replank_past.orders_p1'::regclass"
    assert "autovacuum_enabled=false" in str(one(app, kept))


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("state", [TableState.COPYING, TableState.INDEXING, TableState.READY])
def test_rollback_leaves_no_trace(app: psycopg.Connection, begin: Begin, state: TableState) -> None:
    counted = "SELECT count(*) FROM pg_class"
    before = one(app, counted)
    rebuild = begin(*_planned(MONTHS))
    rebuild.until(state)
    roll_back(rebuild.connection, say=lambda _: None, sleep=lambda _: None)
    assert one(app, counted) == before
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "uniqueness": (
        MONTHS | {"consent": ["foreign_keys"]},
        NeedsOperator,
        "uniqueness_lost.*orders_pkey, number_once, orders_email",
    ),
    "foreign keys": (MONTHS | {"consent": ["uniqueness"]}, NeedsOperator, "foreign_keys_lost.*of_order"),
    "no column": (MONTHS | {"column": "nix"}, WrongUse, "no column nix"),
    "no time": (MONTHS | {"column": "amount"}, WrongUse, "`every` is for date"),
    "no zone": ({k: v for k, v in MONTHS.items() if k != "timezone"}, WrongUse, "set `timezone`"),
    "not version 7": (MONTHS | {"column": "id"}, WrongUse, "set `uuidv7 = true`"),
    "no uuid": (MONTHS | {"uuidv7": True}, WrongUse, "that are, or become, uuid"),
    "too many": (MONTHS | {"every": "day", "ahead": 1000}, WrongUse, "more than 1000 partitions"),
    "rows outside": (KINDS["list"] | {"outside": "refuse"}, NeedsOperator, "outside_rows.*96 rows are outside"),
    "bounds of another type": (KINDS["range of ids"] | {"bounds": ["a", "b"]}, NeedsOperator, "invalid input syntax"),
    "bounds that descend": (
        KINDS["range of ids"] | {"bounds": KINDS["range of ids"]["bounds"][::-1]},
        NeedsOperator,
        "empty range bound",
    ),
    "generated": (
        {"by": "hash", "column": "twice", "count": 2, "consent": ["uniqueness", "foreign_keys"]},
        NeedsOperator,
        "generated column",
    ),
}


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_cannot_be_is_refused_before_the_first_write(app: psycopg.Connection, begin: Begin, what: str) -> None:
    partition, error, words = REFUSED[what]
    with pytest.raises(error, match=f"(?s){words}"):
        begin(*_planned(partition))
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("name", ["orders_2025_01", "orders_2025_01_pkey"])
def test_names_that_are_taken_are_refused(app: psycopg.Connection, begin: Begin, name: str) -> None:
    app.execute(f"CREATE TABLE {name} (x int)".encode())
    with pytest.raises(NeedsOperator, match=f"name_taken.*public.{name}"):
        begin(*_planned(MONTHS))


def test_what_belongs_to_single_partitions_is_refused(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE p (id text, n int, PRIMARY KEY (id, n)) PARTITION BY RANGE (n)")
    app.execute("CREATE TABLE p_low PARTITION OF p (CONSTRAINT own CHECK (n > -5)) FOR VALUES FROM (0) TO (100)")
    app.execute("CREATE INDEX only_here ON p_low (n)")
    with pytest.raises(NeedsOperator, match=r"(?s)constraint own on public\.p_low.*index public\.only_here"):
        begin(table("p", partition={"by": "none"}))
    app.execute("DROP INDEX only_here")
    app.execute("ALTER TABLE p_low DROP CONSTRAINT own")
    app.execute("INSERT INTO p SELECT g::text, g FROM generate_series(1, 50) AS g")
    begin(table("p", partition={"by": "hash", "column": "n", "count": 2})).finish()
    assert differences(app, past("p"), live("p"), set()) == []


def test_triggers_that_a_partitioned_table_cannot_have_are_refused(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("CREATE TRIGGER told AFTER UPDATE ON t REFERENCING NEW TABLE AS x FOR EACH ROW EXECUTE FUNCTION f()")
    with pytest.raises(NeedsOperator, match=r"trigger told of public\.t cannot be built"):
        begin(table("t", partition={"by": "hash", "column": "id", "count": 2}))


def test_gotcha_43_rows_without_a_value_go_to_the_default_partition_if_the_plan_says_so(
    app: psycopg.Connection, begin: Begin
) -> None:
    app.execute("CREATE TABLE t (id text NOT NULL CONSTRAINT once UNIQUE, at date)")
    app.execute(
        "INSERT INTO t SELECT g::text, CASE WHEN g % 4 <> 0 THEN date '2025-01-01' + g END"
        " FROM generate_series(1, 40) AS g"
    )
    said = {"by": "range", "column": "at", "every": "week", "consent": ["uniqueness"]}
    with pytest.raises(NeedsOperator, match=r"null_partition_key.*10 rows have NULL"):
        begin(table("t", partition=said))
    with pytest.raises(NeedsOperator, match=r"outside_rows.*0 rows are outside all partitions, and 10"):
        begin(table("t", partition=said | {"outside": "refuse"}))
    rebuild = begin(table("t", partition=said | {"consent": ["uniqueness", "nulls"]}))
    rebuild.ready()
    app.execute("UPDATE t SET at = NULL WHERE id = '5'")
    app.execute("INSERT INTO t VALUES ('x', 'infinity'), ('y', '-infinity'), ('z', '4000-01-01 BC')")
    rebuild.finish()
    assert differences(app, past("t"), live("t"), set()) == []
    assert one(app, "SELECT count(*) FROM t_default") == 14
    definition = (
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'once' AND conrelid = 't'::regclass"
    )
    assert one(app, definition) == "UNIQUE (id, at)"


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("state", [TableState.COPYING, TableState.READY])
def test_gotcha_43_a_row_that_no_partition_is_for_stops_the_run_and_is_named(
    app: psycopg.Connection, begin: Begin, state: TableState
) -> None:
    rebuild = begin(*_planned(MONTHS | {"outside": "refuse"}))
    rebuild.until(state)
    app.execute("INSERT INTO orders (at, region) VALUES ('2060-01-01 00:00Z', 'us')")
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "no partition of relation" in rebuild.why()
    assert "2060-01-01 00:00:00+00" in rebuild.why()
    app.execute("DELETE FROM orders WHERE at > '2059-01-01'")
    rebuild.retry()
    rebuild.finish()
    assert differences(app, past("orders"), live("orders"), CONVERTED["orders"]) == []


def test_columns_are_added_filled_and_partitioned_by_in_one_pass(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE SCHEMA audit")
    app.execute("CREATE TABLE audit.entry (row_id text PRIMARY KEY, at timestamptz NOT NULL)")
    app.execute("CREATE TABLE doc (id text PRIMARY KEY, created_at timestamptz, n int)")
    app.execute(
        "INSERT INTO doc SELECT gen_random_uuid()::text, CASE WHEN g % 3 = 0 THEN timestamptz '2024-02-10Z' END, g"
        " FROM generate_series(1, 300) AS g"
    )
    app.execute(
        "INSERT INTO audit.entry SELECT id, timestamptz '2025-01-01Z' + n * interval '1 day' FROM doc WHERE n % 2 = 0"
    )
    rebuild = begin(
        table(
            "doc",
            "id",
            join=[{"name": "first", "query": "SELECT row_id, at FROM audit.entry", "on": "first.row_id = live.id"}],
            fill=[
                {
                    "name": "created_at",
                    "value": "coalesce(first.at, '2023-05-05Z')",
                    "not_null": True,
                    "default": "now()",
                }
            ],
            add=[
                {
                    "name": "day",
                    "type": "date",
                    "value": "(live.created_at AT TIME ZONE 'UTC')::date",
                    "on_update": "current_date",
                }
            ],
            partition={
                "by": "range",
                "column": "created_at",
                "every": "year",
                "timezone": "UTC",
                "consent": ["uniqueness"],
            },
        )
    )
    rebuild.until(TableState.COPYING)
    app.execute("UPDATE doc SET created_at = '2022-07-07Z' WHERE n = 7")
    rebuild.until(TableState.READY)
    app.execute("INSERT INTO doc VALUES (gen_random_uuid()::text, NULL, 1000)")
    rebuild.finish()
    wanted = (
        "SELECT p.id::uuid, coalesce(p.created_at, e.at, '2023-05-05Z'), p.n FROM replank_past.doc p"
        " LEFT JOIN audit.entry e ON e.row_id = p.id ORDER BY p.n"
    )
    assert (
        app.execute(wanted.encode()).fetchall()
        == app.execute("SELECT id, created_at, n FROM doc ORDER BY n").fetchall()
    )
    places = app.execute(
        "SELECT DISTINCT c.relname, to_char(created_at AT TIME ZONE 'UTC', 'YYYY')"
        " FROM doc JOIN pg_class c ON c.oid = doc.tableoid"
    ).fetchall()
    assert sorted(places) == [("doc_2023", "2023"), ("doc_2024", "2024"), ("doc_2025", "2025"), ("doc_default", "2022")]
    app.execute("UPDATE doc SET created_at = '2024-06-06Z' WHERE n = 1000")
    assert one(app, "SELECT tableoid::regclass::text FROM doc WHERE n = 1000") == "doc_2024"
    assert one(app, "SELECT day = current_date FROM doc WHERE n = 1000")


def test_uuids_of_version_7_are_partitioned_by_their_time(app: psycopg.Connection, begin: Begin) -> None:
    """The key stays a single column, and foreign keys to it stay."""
    app.execute("CREATE TABLE msg (id text PRIMARY KEY, n int)")
    app.execute("CREATE TABLE part (id text PRIMARY KEY, msg_id text REFERENCES msg)")
    milliseconds = "(extract(epoch FROM timestamptz '2025-02-20 12:00Z' + g * interval '5 hours') * 1000)::bigint"
    time_first = f"overlay(md5(g::text) placing lpad(to_hex({milliseconds}), 12, '0') from 1 for 12)"
    made = f"overlay({time_first} placing '7' from 13 for 1)::uuid::text"
    app.execute(f"INSERT INTO msg SELECT {made}, g FROM generate_series(1, 300) AS g".encode())  # noqa: S608
    app.execute("INSERT INTO msg VALUES ('0eebc99a-9c0b-4ef8-bb6d-6bb9bd380a11', -1)")
    app.execute("INSERT INTO part SELECT gen_random_uuid()::text, id FROM msg")
    said = {"by": "range", "column": "id", "uuidv7": True, "every": "month", "timezone": "America/New_York", "ahead": 1}
    rebuild = begin(table("msg", "id", partition=said), table("part", "id", "msg_id"))
    rebuild.ready()
    app.execute("DELETE FROM part WHERE msg_id IN (SELECT id FROM msg WHERE n % 5 = 0)")
    app.execute("DELETE FROM msg WHERE n % 5 = 0")
    rebuild.finish()
    assert differences(app, past("msg"), live("msg"), {"id"}) == []
    lying = app.execute(
        "SELECT c.relname, CASE WHEN n < 0 THEN 'msg_default' ELSE to_char((timestamptz '2025-02-20 12:00Z'"
        " + n * interval '5 hours') AT TIME ZONE 'America/New_York', '\"msg_\"YYYY_MM') END"
        " FROM msg JOIN pg_class c ON c.oid = msg.tableoid"
    ).fetchall()
    assert len({place for place, _ in lying}) == 4
    assert [pair for pair in lying if pair[0] != pair[1]] == []
    assert one(
        app, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'part'::regclass AND convalidated"
    )


def test_a_large_table_is_copied_and_compared_in_many_jobs(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE big (id text PRIMARY KEY, at date NOT NULL, pad text)")
    app.execute(
        "INSERT INTO big SELECT gen_random_uuid()::text, date '2025-01-01' + g % 90, repeat('x', 900)"
        " FROM generate_series(1, 9000) AS g"
    )
    said = {"by": "range", "column": "at", "every": "month", "consent": ["uniqueness"]}
    rebuild = begin(table("big", "id", partition=said), chunk_mb=1)
    rebuild.until(TableState.COPYING)
    assert len(rebuild.jobs("copy")) > 5
    rebuild.work("copy")
    app.execute("UPDATE big SET at = at + 31 WHERE id < '8'")
    app.execute("TRUNCATE big")
    app.execute(
        "INSERT INTO big SELECT gen_random_uuid()::text, date '2025-01-01' + g % 90, repeat('x', 900)"
        " FROM generate_series(1, 5000) AS g"
    )
    rebuild.until(TableState.VERIFYING)
    assert len(rebuild.jobs("verify")) > 3
    app.execute("DELETE FROM big WHERE id < '2'")
    rebuild.finish()
    assert differences(app, past("big"), live("big"), {"id"}) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_texts_that_become_one_uuid_are_found_where_no_index_can_see_them(
    app: psycopg.Connection, begin: Begin, when: str
) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, at date NOT NULL)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, date '2025-01-01' + g FROM generate_series(1, 50) AS g")
    app.execute("INSERT INTO t VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2025-01-01')")
    twin = "INSERT INTO t VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '2025-02-02')"
    if when == "before":
        app.execute(twin)
    rebuild = begin(
        table("t", "id", partition={"by": "range", "column": "at", "every": "month", "consent": ["uniqueness"]})
    )
    if when == "after":
        rebuild.ready()
        app.execute(twin)
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "become the same uuid" in rebuild.why()
    app.execute("DELETE FROM t WHERE id LIKE 'A0EE%'")
    rebuild.retry()
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


@pytest.mark.usefixtures("orders")
def test_keys_from_tables_outside_and_from_itself_are_given_up_too(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    app.execute("ALTER TABLE orders ADD up_id text CONSTRAINT upward REFERENCES orders")
    rebuild = begin(table("orders", partition=MONTHS))
    rebuild.finish()
    assert differences(app, past("orders"), live("orders"), set()) == []
    keys = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    assert [name for (name,) in app.execute(keys.encode()).fetchall() if name in ("of_order", "upward")] == []
    assert one(app, "SELECT count(*) FROM pg_constraint WHERE conname = 'upward'") == 1, "the past one keeps its own"
    assert foreign_keys_hold(database) == []


@pytest.mark.usefixtures("orders")
def test_check_tells_what_the_plan_gives_up(database: Url) -> None:
    planned = [one_table.planned for one_table in _planned(MONTHS)]
    plan = Plan(database=DatabasePlan(name=database.rsplit("/", 1)[1].split("?")[0]), tables=tuple(planned))
    file = PlanFile(plan=plan, source="plan.toml", text="")
    with connect(database, name="check") as connection:
        found = examine(connection, prepare_run(connection, file)).findings
    assert {finding.code for finding in found if finding.table == "public.orders"} >= {
        "uniqueness_lost",
        "foreign_keys_lost",
    }
    assert [finding.words for finding in found if finding.blocks] == []


@pytest.mark.usefixtures("orders")
def test_gotcha_37_an_index_that_names_rows_for_replication_stays_unique_or_the_run_is_refused(
    app: psycopg.Connection, begin: Begin
) -> None:
    app.execute("CREATE UNIQUE INDEX identity ON orders (n, id)")
    app.execute("ALTER TABLE orders ALTER n SET NOT NULL")
    app.execute("ALTER TABLE orders REPLICA IDENTITY USING INDEX identity")
    with pytest.raises(NeedsOperator, match="non-unique index"):
        begin(*_planned(MONTHS))
    begin(*_planned(KINDS["hash"])).finish()
    named = "SELECT count(*) FROM pg_index WHERE indisreplident AND indrelid::regclass::text LIKE 'orders%'"
    assert one(app, named) == 1 + 5


def test_views_and_serial_columns_follow(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n serial, at date NOT NULL)")
    app.execute(
        "INSERT INTO t (id, at) SELECT gen_random_uuid()::text, date '2025-01-01' + g FROM generate_series(1, 50) AS g"
    )
    app.execute("CREATE VIEW late AS SELECT id, n FROM t WHERE at > '2025-02-01'")
    before = one(app, "SELECT count(*) FROM late")
    said = {"by": "range", "column": "at", "every": "month", "consent": ["uniqueness"]}
    begin(table("t", "id", partition=said)).finish()
    assert one(app, "SELECT count(*) FROM late") == before
    assert one(app, "SELECT pg_typeof(id)::text FROM late LIMIT 1") == "uuid"
    assert one(app, "INSERT INTO t (id, at) VALUES (gen_random_uuid(), '2025-02-02') RETURNING n") == 51
    assert one(app, "SELECT pg_get_serial_sequence('t', 'n')") == "public.t_n_seq"
    app.execute("DROP SCHEMA replank_past CASCADE")
    begin(table("t", partition={"by": "none"})).finish()
    assert one(app, "SELECT count(*) FROM late") == int(str(before)) + 1
    assert one(app, "INSERT INTO t (id, at) VALUES (gen_random_uuid(), '2025-02-02') RETURNING n") == 52


def test_long_names_are_cut(app: psycopg.Connection, begin: Begin) -> None:
    name = "ein_sehr_langer_name_mit_ümläuten_" + "x" * 27
    app.execute(
        psycopg.sql.SQL("CREATE TABLE {} (id text PRIMARY KEY, at date NOT NULL)").format(psycopg.sql.Identifier(name))
    )
    on(app, name, "INSERT INTO {t} SELECT g::text, date '2025-01-01' + g FROM generate_series(1, 50) AS g")
    on(app, name, "CREATE INDEX ON {t} (at)")
    said = {"by": "range", "column": "at", "every": "month", "consent": ["uniqueness"], "ahead": 0}
    begin(table(name, partition=said)).finish()
    assert differences(app, past(name), live(name), set()) == []
    names = app.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchall()
    assert len(names) > 60
    assert max(len(one_name.encode()) for (one_name,) in names) <= 63


@pytest.mark.usefixtures("orders")
def test_a_foreign_key_that_rows_may_break_stays_so_or_the_run_is_refused(
    app: psycopg.Connection, begin: Begin
) -> None:
    app.execute("ALTER TABLE orders DROP CONSTRAINT to_customer")
    app.execute("UPDATE orders SET customer_id = 'nobody' WHERE n = 5")
    app.execute("ALTER TABLE orders ADD CONSTRAINT to_customer FOREIGN KEY (customer_id) REFERENCES customer NOT VALID")
    said = table("orders", partition=MONTHS)
    if app.info.server_version < 180_000:
        with pytest.raises(NeedsOperator, match="foreign_key_not_valid"):
            begin(said)
        return
    begin(said).finish()
    kept = "SELECT convalidated FROM pg_constraint WHERE conname = 'to_customer' AND conrelid = 'orders'::regclass"
    assert one(app, kept) is False
