"""Plans in the names that step 07 will give, checked before it has run."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from inspect_check.conftest import Counting, Database, codes, only
from producer.check.check import audit
from producer.check.findings import Report
from producer.planning.resolution import PlanFile
from replank.errors import WrongUse
from replank.plan.plan import parse_plan
from replank.settings import Settings

pytestmark = pytest.mark.catalogue

TABLES = (
    'CREATE TABLE "User" (id text PRIMARY KEY, "fullName" text)',
    'CREATE TABLE "Booking" (id text PRIMARY KEY, "userId" text, "seatNo" int, "createdAt" timestamptz)',
    'CREATE TABLE plain (id int, "stillOld" int)',
    "INSERT INTO \"User\" VALUES ('$ID', 'One')",
    "INSERT INTO \"Booking\" VALUES ('$ID', '$ID', 7)",
)
PLAN = """
[[tables]]
name = "user"
columns = [{ name = "id", to = "uuid" }]

[[tables]]
name = "booking"
columns = [{ name = "id", to = "uuid" }, { name = "user_id", to = "uuid" }]
add = [
  { name = "seat_text", type = "text", value = "live.seat_no::text" },
  { name = "more", type = "text", value = "'x'" },
]
fill = [{ name = "created_at", value = "coalesce(live.created_at, '2020-01-01')", default = "now()" }]
partition = { by = "hash", column = "id", count = 3 }

[steps.mappings]
"""


@pytest.fixture
def old(database: Database) -> Database:
    database.run(*TABLES)  # type: ignore[arg-type]
    return database


def check(database: Database, plan: str = PLAN) -> Report:
    text = f'[database]\nname = "{database.name}"\n{plan}'
    file = PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)
    return audit(Settings(database_url=SecretStr(database.url)), file, workers=1, watch=Counting())


def test_what_can_be_looked_at_is_and_the_rest_is_told(old: Database) -> None:
    report = check(old)
    assert codes(report.blockers) == []
    later = [(f.table, f.message.partition(", which")[0]) for f in report.warnings if f.code == "looked_at_later"]
    assert later == [
        ("public.booking", "value of seat_text names seat_no"),
        ("public.booking", "value of created_at names created_at"),
    ]
    assert only(report.warnings, "mapping_reserved_word").table == "public.User"
    left = only(report.warnings, "mapping_left")
    assert (left.table, "stillOld" in left.message) == ("public.plain", True)


def test_caches_wait_together(old: Database) -> None:
    old.run('CREATE TABLE "UserSeats" (user_id uuid PRIMARY KEY, seats bigint)')
    cache = "SELECT user_id, count(*) AS seats FROM public.booking GROUP BY 1"
    report = check(old, f'{PLAN}\n[[caches]]\nkind = "table"\nname = "user_seats"\nquery = "{cache}"\n')
    assert codes(report.blockers) == []
    (found,) = [f for f in report.warnings if f.code == "looked_at_later" and f.table is None]
    assert found.message.startswith("caches names booking, user_id, user_seats")


def test_values_are_read_by_their_old_names(old: Database) -> None:
    old.run('UPDATE "Booking" SET "userId" = \'no uuid\'')
    found = only(check(old).blockers, "not_convertible")
    assert (found.table, found.column) == ("public.Booking", "userId")


def test_who_notices_the_new_names_is_told(old: Database) -> None:
    old.run(
        'CREATE PUBLICATION news FOR TABLE "Booking"',
        "CREATE FUNCTION whole(b \"Booking\") RETURNS text LANGUAGE sql AS 'SELECT b.id'",
        "CREATE FUNCTION empty_all() RETURNS void LANGUAGE plpgsql AS 'BEGIN TRUNCATE \"User\"; END'",
    )
    report = check(old)
    assert only(report.warnings, "mapping_published").table == "public.Booking"
    assert "whole" in only(report.warnings, "mapping_row_type").message
    assert only(report.warnings, "mapping_function").details["object"] == "public.empty_all"


@pytest.mark.parametrize(
    ("was", "is_now", "words"),
    [
        ('name = "booking"', 'name = "Booking"', r"plan\.toml:9: step 07 renames public\.Booking to booking"),
        ('name = "user_id"', 'name = "userId"', r"plan\.toml:10: step 07 renames column userId to user_id"),
        ('name = "user_id"', 'name = "nothing"', "has no column nothing"),
        ('name = "more"', 'name = "seat_no"', "fill it instead of adding it"),
    ],
)
def test_other_names_are_refused_with_their_line(old: Database, was: str, is_now: str, words: str) -> None:
    with pytest.raises(WrongUse, match=words):
        check(old, PLAN.replace(was, is_now))


def test_what_stands_in_the_way_of_the_names_blocks(old: Database) -> None:
    old.run('CREATE TABLE "user" (id int)')
    assert "this name is taken" in only(check(old).blockers, "mapping_refused").message


def test_a_plan_is_checked_whole_when_the_names_are_there(old: Database) -> None:
    old.run('ALTER TABLE "User" RENAME TO "user"', 'ALTER TABLE "Booking" RENAME TO booking')
    for was, is_now in (("userId", "user_id"), ("seatNo", "seat_no"), ("createdAt", "created_at")):
        old.run(f'ALTER TABLE booking RENAME "{was}" TO {is_now}')  # type: ignore[arg-type]
    report = check(old)
    assert (codes(report.blockers), "looked_at_later" in codes(report.warnings)) == ([], False)
    assert "expression_failed" in codes(check(old, PLAN.replace("live.seat_no", "live.seatNo")).blockers)
