"""Quarantine: what the plan has to say of every table that leads to it, and how many rows will be kept aside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString

import pytest
from pydantic import SecretStr

from inspect_check.conftest import Counting, Database, codes, only, replank
from producer.check.check import audit
from producer.check.findings import Report
from producer.planning.resolution import PlanFile
from replank.plan.plan import parse_plan
from replank.settings import Settings

pytestmark = pytest.mark.catalogue

SHOP: tuple[LiteralString, ...] = (
    "CREATE TABLE users (id text PRIMARY KEY)",
    "CREATE TABLE booking (id text PRIMARY KEY, n int UNIQUE, user_id text REFERENCES users)",
    "CREATE TABLE note (id int PRIMARY KEY, booking_n int REFERENCES booking (n), up int REFERENCES note)",
    "INSERT INTO users SELECT CASE WHEN n <= 3 THEN 'master ' || n ELSE gen_random_uuid()::text END"
    " FROM generate_series(1, 1000) AS n",
    "INSERT INTO booking SELECT CASE WHEN n = 1000 THEN 'x' ELSE gen_random_uuid()::text END, n, id"
    " FROM (SELECT id, row_number() OVER (ORDER BY length(id)) AS n FROM users) AS u",
    "INSERT INTO note SELECT n, CASE WHEN n < 3 THEN n WHEN n = 10 THEN 1000 END FROM generate_series(1, 1000) AS n",
    "UPDATE note SET up = 2 WHERE id IN (20, 21)",
    "UPDATE note SET up = 20 WHERE id = 22",
)
ASIDE = "quarantine"
PLAN: dict[str, dict[str, str]] = {"users": {"id": ASIDE}, "booking": {"id": ASIDE, "user_id": ASIDE}, "note": {}}


def text(database: Database, tables: Mapping[str, Mapping[str, str]], more: str = "") -> str:
    lines = ["version = 1", "[database]", f'name = "{database.name}"']
    for name, columns in tables.items():
        listed = ", ".join(f'{{name = "{c}", to = "uuid", on_invalid = "{policy}"}}' for c, policy in columns.items())
        lines += ["[[tables]]", f'name = "{name}"']
        lines += [f"columns = [{listed}]"] if columns else ['method = "rebuild"']
    return "\n".join(lines) + "\n" + more


def check(database: Database, tables: Mapping[str, Mapping[str, str]], more: str = "") -> Report:
    said = text(database, tables, more)
    file = PlanFile(plan=parse_plan(said, source="plan.toml"), source="plan.toml", text=said)
    return audit(Settings(database_url=SecretStr(database.url)), file, workers=2, watch=Counting())


def test_rows_are_counted_with_all_that_refer_to_them(database: Database) -> None:
    database.run(*SHOP)
    report = check(database, PLAN)
    assert codes(report.blockers) == []
    counted = {f.table: f.details for f in report.warnings if f.code == "quarantined"}
    assert counted == {
        "public.users": {"count": 3, "own": 3, "rows": 1000},
        "public.booking": {"count": 4, "own": 4, "rows": 1000},
        # By number: 1, 2 and 10 of bookings, 20 and 21 below 2, and 22 below 20
        "public.note": {"count": 6, "own": 0, "rows": 1000},
    }
    assert "quarantine_large" not in codes(report.warnings)
    fate = only([f for f in report.warnings if f.table == "public.users"], "converted_by_policy")
    assert "their rows are quarantined" in fate.message
    # And nothing is left of the count
    assert database.rows("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == [(0,)]


def test_more_than_one_row_in_a_hundred_is_a_warning(database: Database) -> None:
    database.run(*SHOP, "UPDATE note SET up = 2 WHERE id > 990")
    found = only(check(database, PLAN).warnings, "quarantine_large")
    assert (found.table, found.details["count"]) == ("public.note", 16)


def test_without_such_a_text_nothing_is_said(database: Database) -> None:
    database.run(*SHOP[:3], "INSERT INTO users VALUES ('$ID')", "INSERT INTO booking VALUES ('$ID', 1, '$ID')")
    report = check(database, PLAN)
    assert codes([*report.blockers, *report.warnings]) == []


def test_a_table_that_leads_there_must_be_in_the_plan(database: Database) -> None:
    database.run(*SHOP)
    found = only(check(database, {name: PLAN[name] for name in ("users", "booking")}).blockers, "quarantine_outside")
    assert (found.table, found.column) == ("public.note", "booking_n")
    assert 'method = "rebuild"' in found.hint


@pytest.mark.parametrize("policy", ["fail", "name_based"])
def test_the_other_end_of_a_key_must_say_what_becomes_of_its_row(database: Database, policy: str) -> None:
    database.run(*SHOP)
    report = check(database, {**PLAN, "booking": {"id": ASIDE, "user_id": policy}})
    found = only(report.blockers, "quarantine_torn")
    assert (found.table, found.column) == ("public.booking", "user_id")
    assert f"on_invalid is {policy} here" in found.message
    assert '"quarantine"' in found.hint
    assert '"null"' in found.hint


def test_null_at_the_other_end_ends_the_chain(database: Database) -> None:
    database.run(*SHOP, "UPDATE booking SET id = '$ID' WHERE id = 'x'")
    report = check(database, {"users": {"id": ASIDE}, "booking": {"id": "fail", "user_id": "null"}})
    assert codes(report.blockers) == []
    assert [f.table for f in report.warnings if f.code == "quarantined"] == ["public.users"]


def test_a_column_that_is_filled_cannot_lead_there(database: Database) -> None:
    database.run(*SHOP)
    fill = '[[tables.fill]]\nname = "booking_n"\nvalue = "1"\n'
    found = only(check(database, PLAN, fill).blockers, "quarantine_filled")
    assert (found.table, found.column) == ("public.note", "booking_n")


def test_filling_in_place_cannot_keep_rows_aside(database: Database) -> None:
    database.run(*SHOP)
    said = {name: PLAN[name] for name in ("users", "booking")}
    note = '[[tables]]\nname = "note"\nmethod = "backfill"\n[[tables.add]]\nname = "words"\ntype = "text"\n'
    assert only(check(database, said, note).blockers, "quarantine_in_place").table == "public.note"
    # With `auto` it is rebuilt, though small tables are filled in place otherwise
    assert codes(check(database, said, note.replace("backfill", "auto")).blockers) == []


def test_a_role_that_may_not_create_gets_a_warning_instead(database: Database, role: object) -> None:
    database.run(*SHOP)
    name, url = role()  # type: ignore[operator]
    database.run("GRANT pg_read_all_data TO " + name)
    said = text(database, PLAN)
    file = PlanFile(plan=parse_plan(said, source="plan.toml"), source="plan.toml", text=said)
    report = audit(Settings(database_url=SecretStr(url)), file, workers=1, watch=Counting())
    assert "quarantine_uncounted" in codes(report.warnings)


def test_the_command_says_it_too(database: Database, tmp_path: Path) -> None:
    database.run(*SHOP)
    plan = tmp_path / "plan.toml"
    plan.write_text(text(database, PLAN))
    done = replank("check", str(plan), "--json", url=database.url, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])["warnings"]
    assert {f["table"]: f["details"]["count"] for f in said if f["code"] == "quarantined"}["public.note"] == 6
