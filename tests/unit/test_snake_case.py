"""Names in snake_case: what Prisma's users write, and properties that hold for every name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replank.plan.steps.mappings_plan import MappingsPlan
from replank.plan.steps.snake_case import snake_case

pytestmark = pytest.mark.unit

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20) | st.from_regex(
    r"[A-Za-z0-9_]{0,16}", fullmatch=True
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("BookingItem", "booking_item"),
        ("userId", "user_id"),
        ("userID", "user_id"),
        ("userIDs", "user_ids"),
        ("HTTPServer", "http_server"),
        ("URL", "url"),
        ("aB", "a_b"),
        ("address2Line", "address2_line"),
        ("s3Key", "s3_key"),
        ("sha256Hash", "sha256_hash"),
        ("is2FA", "is2_fa"),
        ("Foo_Bar", "foo_bar"),
        ("Foo__Bar", "foo__bar"),
        ("_Private", "_private"),
        ("Order Details", "order_details"),
        ("created_at", "created_at"),
        ("SCREAMING_CASE", "screaming_case"),
        ("ÄrgerNis", "ärger_nis"),
        ("Order", "order"),
    ],
)
def test_as_people_write_it(before: str, after: str) -> None:
    assert snake_case(before) == after


@given(NAMES)
def test_a_second_time_changes_nothing(name: str) -> None:
    once = snake_case(name)
    assert snake_case(once) == once
    assert once == once.lower()


@given(NAMES.filter(lambda name: "Σ" not in name))  # it is another letter at the end of a word
def test_no_letter_is_lost_and_none_comes_in(name: str) -> None:
    letters = "".join(letter for letter in name if letter not in "_-" and not letter.isspace())
    assert snake_case(name).replace("_", "") == letters.lower()


@given(NAMES.filter(bool), NAMES.filter(bool))
def test_rules_know_nothing_but_names(table: str, column: str) -> None:
    # Given the rule for all tables: what has its name already keeps it
    rule = MappingsPlan()
    after = rule.table_to("public", table)
    assert rule.table_to("public", after) == after
    renamed = rule.column_to("public", table, column)
    assert renamed in (column, snake_case(column))
    # A table that keeps its name keeps its columns', since no view could have its name
    assert renamed == column or after != table


def test_what_the_plan_says_itself_comes_first() -> None:
    said = {
        "tables": ["Booking", "_AToB", "shop.Item"],
        "rename": [
            {"table": "Booking", "to": "reservation", "columns": {"userId": "guest_id"}},
            {"table": "Tenant", "to": "Tenant"},
            {"table": "_AToB", "to": "a_b"},
            {"table": "plain", "columns": {"x": "y"}, "view": False},
        ],
    }
    rule = MappingsPlan.model_validate(said)
    assert rule.table_to("public", "Booking") == "reservation"
    assert rule.column_to("public", "Booking", "userId") == "guest_id"
    assert rule.column_to("public", "Booking", "createdAt") == "created_at"
    assert rule.table_to("public", "Tenant") == "Tenant"
    assert rule.table_to("public", "_AToB") == "a_b"
    assert MappingsPlan().table_to("public", "_AToB") == "_AToB"
    assert rule.table_to("shop", "Item") == "item"
    assert rule.table_to("public", "Item") == "Item"
    assert (rule.column_to("public", "plain", "x"), rule.wants_view("public", "plain")) == ("y", False)
