"""What reading a statement costs does not depend on how many tables and columns the plan has. Counted, not timed."""

from __future__ import annotations

import re
import sys
from collections import Counter
from types import FrameType

import pytest

from benchmarks.statements import made_up
from producer.check.statements.audit import find
from producer.check.statements.comparisons import Code, word

pytestmark = pytest.mark.unit


def _calls(statements: int, columns: int) -> int:
    """How many functions, of Python and of C, one pass calls."""
    seen, known = made_up(statements, columns)
    counted: Counter[str] = Counter()

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        counted[event] += 1

    sys.setprofile(count)
    try:
        found = list(find(seen, known))
    finally:
        sys.setprofile(None)
    assert found
    return counted["call"] + counted["c_call"]


def test_a_hundred_times_the_columns_is_no_more_work():
    assert _calls(200, 1_000) < 1.05 * _calls(200, 10) + 1_000


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("select * from orders", "orders"),
        ("select * from ORDERS", "orders"),
        ('select * from "orders"', "orders"),
        ('select * from "Orders"', "orders"),
        ('select * from "Orders"', "Orders"),
        ("select * from Orders", "Orders"),
        ("select * from orders_old", "orders"),
        ('select "a ""b"" c"', 'a "b" c'),
        ('select "a b"', "a b"),
        ("select a$b, $a", "a"),
        ('select x."id"', "id"),
    ],
)
def test_code_names_what_the_pattern_finds(body: str, name: str):
    assert Code(body).names(name) is (re.search(word(name), body) is not None)
