"""The page of attacks says what the tests recorded, and nothing that was not tried."""

import pytest
from support.runs.attacks import Attack, page

pytestmark = pytest.mark.unit


def test_one_line_for_each_title_with_all_its_tries_added_up():
    first = Attack(point="A1", title="isolation")
    first.record("swapped", acknowledged=10, lost=0)
    second = Attack(point="A1", title="isolation")
    second.record("refused", tried=2, acknowledged=5, lost=1)
    text = page({"tests/a.py::test_one[x]": first, "tests/a.py::test_two": second})
    assert "| isolation | 3 | 15 | 1 | swapped; refused | `pytest tests/a.py::test_one`<br>" in text


def test_without_writers_no_figure_is_invented():
    one = Attack(point="C7", title="a trigger's condition")
    one.record("named by check")
    assert "| a trigger's condition | 1 |  |  | named by check |" in page({"tests/a.py::test": one})
