"""The sample holds what it promises, the application sees what is wrong, the offline way converts."""

import time

import psutil
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.servers.shared import new_database

from demo.application import Application, ApplicationFailed, ApplicationReport, Journal, check_journal
from demo.datasets.market import create_market, left_alone, uuid_columns
from demo.datasets.market.workload.operations import KINDS
from demo.demonstration.offline import Conversion, offline_alter
from demo.embedded import EmbeddedPostgres

pytestmark = pytest.mark.protocol

DEADLINE_S = 20.0
UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
CONVERSIONS: list[Conversion] = [(*table, columns) for table, columns in uuid_columns().items()]
FOREIGN_KEYS = "SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' ORDER BY 1, 2"


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    """The rows of a query."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def change(url: str, statement: str) -> None:
    """Change something behind the application's back."""
    with psycopg.connect(url) as connection:
        changed = connection.execute(statement.encode()).rowcount
        assert changed != 0, f"changed nothing: {statement}"


def let_it_write(url: str, seconds: float, rate: float = 200) -> ApplicationReport:
    """Run the application for a while."""
    with Application(url=url, rate=rate) as application:
        time.sleep(seconds)
        return application.stop()


def test_sample_has_tables_and_foreign_keys_of_every_sort(postgres: EmbeddedPostgres, counted: dict[str, int]) -> None:
    url = postgres.url("market_template")

    foreign_keys = ask(
        url,
        "SELECT conrelid, confrelid, confdeltype::text, confupdtype::text, condeferred"
        " FROM pg_constraint WHERE contype = 'f'",
    )

    assert len(counted) >= 12
    assert 4_500 <= sum(counted.values()) <= 5_500
    assert len({table for child, parent, *_ in foreign_keys for table in (child, parent)}) >= 10
    assert {delete for _, _, delete, _, _ in foreign_keys} >= {"c", "n", "r"}
    assert "c" in {update for _, _, _, update, _ in foreign_keys}
    assert any(deferred for *_, deferred in foreign_keys)
    assert any(child == parent for child, parent, *_ in foreign_keys)


def test_sample_has_indexes_and_columns_of_every_sort(postgres: EmbeddedPostgres, counted: dict[str, int]) -> None:
    url = postgres.url("market_template")

    ((partial, expression, including),) = ask(
        url,
        "SELECT count(*) FILTER (WHERE indpred IS NOT NULL), count(*) FILTER (WHERE indexprs IS NOT NULL),"
        " count(*) FILTER (WHERE indnatts > indnkeyatts) FROM pg_index"
        " JOIN pg_class ON oid = indexrelid WHERE relnamespace = 'public'::regnamespace",
    )
    types = ask(
        url,
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attname = 'id'",
    )
    ((never_analysed,),) = ask(
        url, "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND oid >= 16384 AND reltuples < 0"
    )

    assert (partial, expression, including) == (2, 1, 1)
    assert {name for (name,) in types} == {
        "text", "character varying(36)", "character(36)", "bigint", "integer"
    }  # fmt: skip
    assert never_analysed == 0
    assert counted["billing.invoices"] > 0


def test_uuid_columns_are_the_truth(postgres: EmbeddedPostgres, counted: dict[str, int]) -> None:
    assert counted
    holding: dict[tuple[str, str], list[str]] = {}
    columns = (
        "SELECT table_schema, table_name, column_name FROM information_schema.columns"
        " WHERE table_schema IN ('public', 'billing')"
        " AND data_type IN ('text', 'character varying', 'character') ORDER BY 1, 2, ordinal_position"
    )
    with psycopg.connect(postgres.url("market_template")) as connection:
        for schema, table, column in connection.execute(columns.encode()).fetchall():
            query = SQL("SELECT bool_and({}::text ~ %s) FROM {}")
            named = query.format(Identifier(column), Identifier(schema, table))
            if connection.execute(named, [UUID]).fetchone() == (True,):
                holding.setdefault((schema, table), []).append(column)

    truth = {table: list(names) for table, names in uuid_columns().items()}
    assert holding == truth
    assert not {(c.schema, c.table, c.column) for c in left_alone()} & {
        (*table, name) for table, names in truth.items() for name in names
    }


def test_sample_refuses_a_database_that_holds_it_already(market: str) -> None:
    with pytest.raises(psycopg.errors.DuplicateSchema):
        create_market(market, rows=1_000)


def test_application_finds_everything_again(market: str) -> None:
    report = let_it_write(market, seconds=3)

    assert report.errors == []
    assert report.lost == []
    assert report.unknown == 0
    assert set(report.by_kind) == set(KINDS)
    assert report.found_again == report.acknowledged > 1_000
    assert report.transactions > 300
    assert 0 < report.p99_latency_ms <= report.max_latency_ms


def test_password_is_not_among_the_process_arguments(market: str, postgres: EmbeddedPostgres) -> None:
    with Application(url=market, rate=20):
        arguments = [word for child in psutil.Process().children() for word in child.cmdline()]

    assert "demo.application" in arguments
    assert not any(postgres.password in word for word in arguments)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        (
            'DELETE FROM "_OrderToTag" WHERE "A" || "B" = (SELECT max("A" || "B") FROM "_OrderToTag")',
            "rows in all",
        ),
        ('UPDATE "User" SET "loginCount" = "loginCount" + 1', "loginCount is"),
        ("UPDATE products SET sold = sold - 1", "sold is"),
        ("UPDATE price_rules SET discount = 1 - discount", "altered: discount"),
        ("UPDATE events SET owner_id = upper(owner_id)", "altered: owner_id"),
    ],
)
def test_check_sees_what_changed_behind_its_back(
    postgres: EmbeddedPostgres, written: Journal, statement: str, complaint: str
) -> None:
    with new_database(postgres, template="written") as url:
        change(url, statement)

        found = check_journal(url, written)
    assert any(complaint in sentence for sentence in found.lost), found.lost[:5]


def test_check_sees_one_row_deleted_altered_or_back_from_the_dead(market: str) -> None:
    with Application(url=market, rate=100) as application:
        time.sleep(1)
        application.stop()
    journal = application.journal
    assert journal is not None
    deleted, altered = journal.rows["order_items"][:2]
    dead, live = journal.gone["order_items"][0], journal.rows["order_items"][2]

    with psycopg.connect(market) as connection:
        connection.execute("DELETE FROM order_items WHERE id = %s", [deleted["id"]])
        connection.execute("UPDATE order_items SET quantity = quantity + 1 WHERE id = %s", [altered["id"]])
        connection.execute(
            "INSERT INTO order_items (id, order_id, product_id, quantity, unit_price)"
            " SELECT %s, order_id, product_id, 1, 1 FROM order_items WHERE id = %s",
            [*dead, live["id"]],
        )

    found = check_journal(market, journal)
    assert set(found.lost) == {
        f"public.order_items {deleted['id']}: lost",
        f"public.order_items {altered['id']}: altered: quantity",
        f"public.order_items {dead[0]}: resurrected, or never committed",
    }
    assert found.found_again == journal.entries() - 3


def test_application_notices_what_a_careless_rebuild_forgets(market: str) -> None:
    change(market, "DROP TRIGGER products_touch_updated_at ON products")
    change(market, "ALTER TABLE order_items DROP CONSTRAINT order_items_quantity_check")
    change(market, "ALTER TABLE categories ALTER COLUMN id DROP DEFAULT")

    errors = "\n".join(let_it_write(market, seconds=1.5, rate=400).errors)

    assert "updated_at was not touched" in errors
    assert "must be refused with 23514" in errors
    assert "23502" in errors
    assert "insert categories, id by default" in errors


def test_lock_timeouts_are_tried_again(market: str) -> None:
    change(market, "ALTER DATABASE {} SET lock_timeout = '100ms'".format(market.rsplit("/", 1)[1]))
    with Application(url=market, rate=200) as application:
        with psycopg.connect(market) as connection:
            connection.execute("SET LOCAL lock_timeout = '10s'")
            connection.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
            connection.execute("SELECT pg_sleep(0.3)")
        report = application.stop()

    assert report.retries > 0
    assert report.errors == []
    assert report.lost == []


def test_a_crash_of_the_server_loses_nothing_acknowledged() -> None:
    # Given a server of its own to crash, that has written what it acknowledged (to the operating system, for speed)
    with EmbeddedPostgres(durable=False, settings={"synchronous_commit": "on"}) as server:
        url = server.create_database("market")
        create_market(url, rows=1_000)
        with Application(url=url, rate=300) as application:
            wait_for_commits(url, 60)
            # When it crashes and comes back
            server.crash()
            server.resume()
            wait_for_commits(url, 60)
            report = application.stop()

    # Then the application went on, and what was acknowledged is there
    assert report.errors == []
    assert report.lost == []
    assert report.retries > 0


def wait_for_commits(url: str, number: int) -> None:
    """Return when the application has committed `number` more transactions."""
    # The next transaction id to be given; asking uses none up.
    query = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    deadline = time.monotonic() + DEADLINE_S
    ((first,),) = ask(url, query)
    while time.monotonic() < deadline:
        ((now,),) = ask(url, query)
        if int(str(now)) - int(str(first)) >= number:
            return
        time.sleep(0.02)
    raise TimeoutError(f"no {number} transactions in {DEADLINE_S} s")


def test_application_that_cannot_start_says_why(database: str) -> None:
    with pytest.raises(ApplicationFailed, match=r'relation "public\.User" does not exist'):
        Application(url=database).start()


def test_offline_alter_converts_and_the_same_statements_go_on(market: str) -> None:
    assert let_it_write(market, seconds=0.5).errors == []
    before = ask(market, FOREIGN_KEYS)

    result = offline_alter(market, CONVERSIONS)

    assert ask(market, FOREIGN_KEYS) == before
    assert ask(market, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated") == [(0,)]
    uuids = ask(
        market,
        "SELECT table_schema, table_name, string_agg(column_name, ' ' ORDER BY ordinal_position)"
        " FROM information_schema.columns WHERE data_type = 'uuid' GROUP BY 1, 2",
    )
    assert set(uuids) == {(*table, " ".join(names)) for table, names in uuid_columns().items()}
    assert 0 < result.seconds_alter < result.seconds_without_foreign_keys < result.seconds < result.seconds_total
    assert result.wal_bytes > 1_000_000

    report = let_it_write(market, seconds=2)

    assert report.errors == []
    assert report.lost == []
    assert set(report.by_kind) == set(KINDS)


def test_offline_alter_leaves_all_as_it_was_when_a_value_is_no_uuid(market: str) -> None:
    before = ask(market, FOREIGN_KEYS)

    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        offline_alter(market, [*CONVERSIONS, ("public", "plans", ["id"])])

    assert ask(market, FOREIGN_KEYS) == before
    assert ask(market, "SELECT count(*) FROM information_schema.columns WHERE data_type = 'uuid'") == [(0,)]
