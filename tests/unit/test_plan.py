"""Reading a plan: what it means, and where a mistake stands."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from replank.errors import WrongUse
from replank.plan.plan import Plan, load_plan, parse_plan
from replank.plan.text.plan_lines import line_of

pytestmark = pytest.mark.unit

PLAN = """\
version = 1
[database]
name = "shop"
[[tables]]
name = "Order"
[[tables.columns]]
name = "id"
to = "uuid"
[[tables]]
schema = "billing"
name = "invoices"
[[tables.columns]]
name = "order_id"
to = "uuid"
"""


def test_a_plan_is_read() -> None:
    plan = parse_plan(PLAN, source="plan.toml")
    assert [table.full_name for table in plan.tables] == ["public.Order", "billing.invoices"]
    assert plan.tables[1].columns[0].name == "order_id"
    assert plan.tables[0].axis == "auto"


def test_comments_and_layout_do_not_change_what_a_plan_means() -> None:
    other = "# reviewed\n" + PLAN.replace('name = "shop"', 'name    =  "shop"  # ours')
    assert parse_plan(PLAN, source="a").digest() == parse_plan(other, source="b").digest()


def test_another_column_is_another_plan() -> None:
    other = PLAN.replace('"order_id"', '"id"')
    assert parse_plan(PLAN, source="a").digest() != parse_plan(other, source="b").digest()


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ('to = "uuid"\n[[tables]]', 'too = "uuid"\n[[tables]]', 8, "unknown key"),
        ('name = "invoices"', 'nmae = "invoices"', 11, "unknown key"),
        ('to = "uuid"\n', 'to = "int"\n', 8, "it should be 'uuid'"),
        ('name = "shop"', "name = 7", 3, "it should be a text"),
        ("version = 1", "version = 2", 1, "it should be 1"),
        ('[[tables.columns]]\nname = "order_id"\nto = "uuid"\n', "", 9, "nothing to do"),
    ],
)
def test_every_mistake_has_its_line(before: str, after: str, line: int, words: str) -> None:
    with pytest.raises(WrongUse) as caught:
        parse_plan(PLAN.replace(before, after, 1), source="plan.toml")
    assert f"plan.toml:{line}: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('to = "uuid"\n[[tables]]', 'too = "uuid"\n[[tables]]', "table {0}, column {1}, too: unknown key"),
        ('name = "invoices"', 'nmae = "invoices"', "table no. 2, name: this key is missing"),
        ("[database]\nname", "[other]\nname", "database: this key is missing"),
        ("version = 1", "version = 1\noptions = 3", "options: this is a section with keys of its own"),
    ],
)
def test_a_mistake_is_named_as_an_operator_names_it(before: str, after: str, words: str) -> None:
    """By table and column, without their positions, and without the words of a library."""
    first = Plan.model_validate(tomllib.loads(PLAN)).tables[0]
    with pytest.raises(WrongUse) as caught:
        parse_plan(PLAN.replace(before, after, 1), source="plan.toml")
    said = str(caught.value)
    assert words.format(first.name, first.columns[0].name) in said
    for word in ("Input", "Value error", "Plan", "dictionary", ".0", ".1"):
        assert word not in said.replace(first.name, "")


def test_what_our_own_rules_refuse_has_no_prefix_of_a_library() -> None:
    with pytest.raises(WrongUse) as caught:
        parse_plan('version = 1\n[database]\nname = "shop"\n', source="p")
    assert str(caught.value) == "p:1: plan: nothing to do: add tables, caches or steps"


def test_a_table_or_column_named_twice_is_refused() -> None:
    with pytest.raises(WrongUse, match=r"table listed twice: public\.Order"):
        parse_plan(PLAN + '[[tables]]\nname = "Order"\n[[tables.columns]]\nname = "id"\nto = "uuid"\n', source="p")
    twice = PLAN + '[[tables.columns]]\nname = "order_id"\nto = "uuid"\n'
    with pytest.raises(WrongUse, match="column listed twice: order_id"):
        parse_plan(twice, source="p")


def test_what_is_no_toml_or_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"not valid TOML.*line 1"):
        parse_plan("version = = 1", source="p")
    with pytest.raises(WrongUse, match="could not read the plan"):
        load_plan(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(WrongUse, match="not UTF-8"):
        load_plan(tmp_path / "latin.toml")


def test_lines_of_nested_arrays_count_their_own_parent() -> None:
    assert line_of(PLAN, ("tables", 0, "columns", 0, "to")) == 8
    assert line_of(PLAN, ("tables", 1, "columns", 0, "name")) == 13
    assert line_of(PLAN, ("tables", 1, "axis")) == 9
    assert line_of(PLAN, ("nothing",)) == 1


def test_a_table_may_be_rebuilt_as_it_is() -> None:
    other = '[[tables]]\nname = "notes"\nmethod = "rebuild"\n'
    assert parse_plan(PLAN + other, source="plan.toml").tables[2].method == "rebuild"
