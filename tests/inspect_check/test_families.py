"""Classic inheritance in inspect and check: a family is proposed and rebuilt as a whole."""

from __future__ import annotations

import pytest

from inspect_check.conftest import Database, codes, proposed, reasons
from producer.inspect.plan_writer import write_plan
from replank.plan.plan import parse_plan

pytestmark = pytest.mark.catalogue

FAMILY = (
    "CREATE TABLE parent (id text PRIMARY KEY, n int)",
    "CREATE TABLE other (m int PRIMARY KEY)",
    "CREATE TABLE child (own_id text, PRIMARY KEY (id)) INHERITS (parent, other)",
    "INSERT INTO parent SELECT gen_random_uuid(), g FROM generate_series(1, 20) AS g",
    "INSERT INTO child SELECT gen_random_uuid(), g, g, gen_random_uuid() FROM generate_series(1, 20) AS g",
)


def test_the_whole_family_is_proposed_where_one_member_is_converted(database: Database) -> None:
    database.run(*FAMILY)
    proposal = database.inspect()
    assert proposed(proposal) == {
        ("public", "child"): ("id", "own_id"),
        ("public", "other"): (),
        ("public", "parent"): ("id",),
    }
    assert {table.set_no for table in proposal.tables} == {1}
    plan = parse_plan(write_plan(proposal), source="plan.toml")
    assert {table.name: table.method for table in plan.tables if not table.columns} == {"other": "rebuild"}


def test_an_inherited_column_is_converted_in_all_of_a_family_or_in_none(database: Database) -> None:
    database.run(*FAMILY, "INSERT INTO child VALUES ('master', 21, 21, NULL)")
    proposal = database.inspect()
    assert proposed(proposal) == {("public", "child"): ("own_id",), ("public", "other"): (), ("public", "parent"): ()}
    assert "join it to public.child.id, which stays as it is (20 of 21" in reasons(proposal)["public.parent.id"]


def test_a_family_with_a_member_that_cannot_be_rebuilt_is_left_alone(database: Database) -> None:
    database.run(*FAMILY, "CREATE TABLE keyless () INHERITS (other)")
    proposal = database.inspect()
    assert proposed(proposal) == {}
    assert "public.keyless, which cannot be rebuilt with it (the table has no" in reasons(proposal)["public.child.id"]


def test_check_names_what_is_missing_of_a_family(database: Database) -> None:
    database.run(*FAMILY)
    (found,) = database.check({"parent": ["id"]}).blockers
    assert found.code == "family_incomplete"
    assert found.details["missing"] == ["public.child", "public.other"]
    assert database.check({"parent": ["id"], "child": ["id"], "other": []}).blockers == ()
    torn = database.check({"parent": ["id"], "child": [], "other": []}).blockers
    assert codes(torn) == ["family_torn"]


def test_rows_of_children_are_not_read_as_their_parents(database: Database) -> None:
    """One id in a parent and in its child is no collision, and a foreign key does not lead to a child's row."""
    database.run(
        *FAMILY,
        "INSERT INTO parent VALUES ('$ID', 0)",
        "INSERT INTO child (id, m) VALUES (upper('$ID'), 50)",
        "CREATE TABLE leads (id text PRIMARY KEY, to_id text)",
        "INSERT INTO leads SELECT gen_random_uuid(), id FROM ONLY child",
        "ALTER TABLE leads ADD FOREIGN KEY (to_id) REFERENCES parent NOT VALID",
    )
    report = database.check({"parent": ["id"], "child": ["id"], "other": [], "leads": ["to_id"]})
    assert report.blockers == ()
    (orphans,) = [finding for finding in report.warnings if "orphan" in finding.code]
    assert orphans.message.startswith("21 ") or "21 rows" in orphans.message
