"""One plan for databases of two shapes: what has its type already is done, and what is not is converted."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from support.oracles.journal_oracle import foreign_keys_hold

from fleet.tenants import Tenants

pytestmark = pytest.mark.cli

TO_UUID = (
    "ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey",
    "ALTER TABLE orders ALTER id DROP DEFAULT, ALTER id TYPE uuid USING id::uuid,"
    " ALTER id SET DEFAULT gen_random_uuid(), ALTER customer_id TYPE uuid USING customer_id::uuid",
    "ALTER TABLE customers ALTER id TYPE uuid USING id::uuid",
    "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers ON UPDATE CASCADE",
)
"""What an earlier migration did in some of the databases."""
BOTH_ENDS = "ALTER TABLE orders ALTER customer_id TYPE uuid USING customer_id::uuid"


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def value(url: str, statement: str) -> Any:
    with psycopg.connect(url) as connection:
        found = connection.execute(statement.encode()).fetchone()
    assert found is not None
    return found[0]


def files(url: str) -> object:
    """Of both tables: a table that is left alone keeps its own."""
    return value(
        url, "SELECT array_agg(relfilenode ORDER BY relname) FROM pg_class WHERE relname IN ('orders', 'customers')"
    )


def test_one_plan_serves_databases_of_two_shapes(tenants: Tenants) -> None:
    # Given: of four databases the second has its uuids already; in the third one end of the foreign key was done, in
    # the fourth both of its ends, and not the other key of the table that it starts from
    text, done, half, mixed = tenants.make(4)
    execute(tenants.urls[done], *TO_UUID)
    execute(tenants.urls[half], TO_UUID[0], TO_UUID[2])
    execute(tenants.urls[mixed], TO_UUID[0], TO_UUID[2], BOTH_ENDS, TO_UUID[3])
    before = {name: files(tenants.urls[name]) for name in (done, half, mixed)}

    # When: the plan runs on all of them
    ran = tenants.run("--canary", "1")

    # Then: all are done, in one shape, and what was there already was left alone
    assert ran.exit_code == 0, ran.stderr
    assert [target["state"] for target in ran.document["targets"]] == ["done"] * 4
    assert tenants.is_converted(text)
    assert {tenants.id_type(name) for name in tenants.urls} == {"uuid"}
    assert files(tenants.urls[done]) == before[done]
    joined = "SELECT count(*) FROM orders o JOIN customers c ON o.customer_id = c.id"
    assert {value(tenants.urls[name], joined) for name in tenants.urls} == {60}
    told = {target["name"]: target["already"] for target in ran.document["targets"]}
    assert told == {text: 0, done: 3, half: 1, mixed: 2}
    keys = (
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated AND confrelid = 'customers'::regclass"
    )
    assert [value(tenants.urls[name], keys) for name in (text, done, half, mixed)] == [1, 1, 0, 1]
    assert [foreign_keys_hold(url) for url in tenants.urls.values()] == [[]] * 4
    one_table = "SELECT relfilenode FROM pg_class WHERE relname = 'customers' AND relnamespace = 'public'::regnamespace"
    assert value(tenants.urls[mixed], one_table) in before[mixed]
    status = tenants.site.call("fleet", "status", "--targets", str(tenants.file), "--json")
    assert status.exit_code == 0, status.stderr

    # Then: the run's own record names what was there
    single = tenants.site.call("status", "--json", "--database-url", tenants.urls[half])
    assert [one["object"] for one in single.document["already"]] == ["public.customers.id"]
    assert [table["name"] for table in single.document["tables"]] == ["public.orders"]


def test_a_database_in_the_wished_shape_has_nothing_to_do(tenants: Tenants) -> None:
    (name,) = tenants.make(1)
    url = tenants.urls[name]
    execute(url, *TO_UUID)

    checked = tenants.site.call("check", str(tenants.site.plan), "--json", "--database-url", url)
    assert checked.exit_code == 0, checked.stderr
    assert checked.document["blockers"] == []
    assert {(one["table"], one["column"]) for one in checked.document["already"]} == {
        ("public.customers", "id"),
        ("public.orders", "id"),
        ("public.orders", "customer_id"),
    }
    assert checked.document["nothing_to_do"] is True
    assert "Nothing to do" in checked.stderr
    before = files(url)
    ran = tenants.site.call("run", str(tenants.site.plan), "--workers", "1", "--json", REPLANK_DATABASE_URL=url)
    assert ran.exit_code == 0, ran.stderr
    assert "Nothing to do" in ran.stderr
    assert ran.document["state"] == "done"
    assert len(ran.document["already"]) == 3
    assert files(url) == before
    assert "already done  public.orders.customer_id" in tenants.site.call("status", REPLANK_DATABASE_URL=url).stderr
    # And again
    assert tenants.site.call("run", str(tenants.site.plan), REPLANK_DATABASE_URL=url).exit_code == 0
    page = tenants.site.folder / "report.html"
    reported = tenants.site.call("report", "--out", str(page), REPLANK_DATABASE_URL=url)
    assert reported.exit_code == 0, reported.stderr
    assert "public.orders.customer_id" in page.read_text(encoding="utf-8")
    # Its record can be closed as any other's
    assert tenants.site.call("finish", "--yes", REPLANK_DATABASE_URL=url).exit_code == 0
    assert files(url) == before


def test_a_database_that_cannot_begin_says_why_and_waits_no_longer(tenants: Tenants) -> None:
    # Given: a database without one of the plan's columns, and two that fit
    odd, fits, late = tenants.make(3)
    execute(tenants.urls[odd], "ALTER TABLE orders RENAME customer_id TO buyer_id")
    targets, page = str(tenants.file), tenants.site.folder / "fleet.html"

    # Then: that is known before anything begins, where the plan is named
    asked = tenants.site.call("fleet", "status", "--targets", targets, "--plan", str(tenants.site.plan), "--json")
    assert asked.exit_code == 1
    assert [target["state"] for target in asked.document["targets"]] == ["refused", "waiting", "waiting"]
    assert "no column customer_id" in asked.document["targets"][0]["problem"]
    assert not any(tenants.has_ledger(name) for name in tenants.urls)

    # When: the fleet runs and stops after the first failure
    ran = tenants.run("--at-once", "1", "--stop-after", "1", "--out", str(page))

    # Then: the first says why, and why the others wait is said as well
    assert ran.exit_code == 1
    assert ran.document["counts"] == {"refused": 1, "waiting": 2}
    assert "no column customer_id" in ran.document["targets"][0]["problem"]
    assert "no other database begins" in ran.document["stopped"]
    assert "no column customer_id" in page.read_text(encoding="utf-8")
    shown = next(line for line in ran.stderr.splitlines() if line.startswith(odd))
    assert "refused" in shown
    assert not any(tenants.has_ledger(name) for name in (odd, fits, late))


EVERYTHING = """
version = 1
[database]
name = "*"
[[tables]]
name = "customers"
[[tables.columns]]
name = "id"
to = "uuid"
[[tables.add]]
name = "updated_at"
type = "timestamptz"
default = "now()"
not_null = true
on_update = "now()"
[[tables]]
name = "orders"
[[tables.columns]]
name = "id"
to = "uuid"
[[tables.columns]]
name = "customer_id"
to = "uuid"
[[tables.fill]]
name = "note"
value = "'none'"
not_null = true
[tables.partition]
by = "hash"
column = "id"
count = 2
consent = ["uniqueness"]
"""


def test_what_a_whole_plan_has_made_is_recognised_without_its_record(tenants: Tenants) -> None:
    # Given: a database that a plan with every kind of change was run on, and whose ledger is gone
    (name,) = tenants.make(1)
    url = tenants.urls[name]
    tenants.site.plan.write_text(EVERYTHING, encoding="utf-8")
    command = ("run", str(tenants.site.plan), "--workers", "1", "--json")
    first = tenants.site.call(*command, REPLANK_DATABASE_URL=url)
    assert first.exit_code == 0, first.stderr
    assert tenants.site.call("finish", "--yes", REPLANK_DATABASE_URL=url).exit_code == 0
    execute(url, "DROP SCHEMA replank CASCADE")

    # When: the same plan runs again, then: there is nothing to do
    again = tenants.site.call(*command, REPLANK_DATABASE_URL=url)
    assert again.exit_code == 0, again.stderr
    assert "Nothing to do" in again.stderr
    assert {one["object"] for one in again.document["already"]} == {
        "public.customers.id",
        "public.customers.updated_at",
        "public.orders",
        "public.orders.id",
        "public.orders.customer_id",
        "public.orders.note",
    }

    # When: a part of it is undone by somebody, then: that part is done again, and nothing else
    execute(
        url,
        "DROP SCHEMA replank CASCADE",
        "ALTER TABLE orders ALTER note DROP NOT NULL",
        "UPDATE orders SET note = NULL",
    )
    third = tenants.site.call(*command, REPLANK_DATABASE_URL=url)
    assert third.exit_code == 0, third.stderr
    assert [table["name"] for table in third.document["tables"]] == ["public.orders"]
    assert value(url, "SELECT count(*) FROM orders WHERE note = 'none'") == 60
    assert value(url, "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'note'")
