"""The plan's text without a server: strings, comments, order."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.inspect.evidence import looks_like_id
from producer.inspect.plan_writer import comment, toml_string, write_plan
from producer.inspect.proposal import LeftAlone, Proposal, ProposedColumn, ProposedTable
from replank.names import cut
from replank.plan.plan import OptionsPlan, parse_plan

pytestmark = pytest.mark.unit

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
NAMES = st.text(LETTERS, min_size=1, max_size=63).map(cut)


@given(NAMES)
def test_any_name_survives_as_a_toml_string(name: str) -> None:
    assert tomllib.loads(f"name = {toml_string(name)}") == {"name": name}


@given(NAMES)
def test_a_comment_is_one_line_whatever_it_says(text: str) -> None:
    assert len(comment(text).splitlines()) == 1
    assert tomllib.loads(comment(text)) == {}


@given(schema=NAMES, table=NAMES, column=NAMES, database=NAMES)
def test_any_proposal_loads_as_the_plan_it_means(schema: str, table: str, column: str, database: str) -> None:
    text = write_plan(_proposal(schema, table, column, database))
    plan = parse_plan(text, source="plan.toml")
    assert plan.database.name == database
    (planned,) = plan.tables
    assert (planned.table_schema, planned.name, planned.columns[0].name) == (schema, table, column)
    assert plan.options == OptionsPlan()


def _proposal(schema: str, table: str, column: str, database: str) -> Proposal:
    return Proposal(
        database=database,
        system_identifier="7",
        tables=(
            ProposedTable(
                schema=schema,
                name=table,
                set_no=1,
                columns=(ProposedColumn(name=column, type="text", reason="its name\n[[tables]]"),),
            ),
        ),
        left_alone=(LeftAlone(schema=schema, table=table, column=column, type="text", reason="because"),),
        prose_columns=2,
    )


def test_options_stand_there_as_comments_and_load_when_uncommented() -> None:
    text = write_plan(_proposal("public", "t", "id", "shop"))
    begin, end = text.index("[options]"), text.index("# All tables whose types change")
    opened = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text[begin:end].splitlines())
    assert tomllib.loads(opened)["options"].keys() == OptionsPlan.model_fields.keys()


def test_an_option_that_has_no_default_does_not_show_its_example_as_one() -> None:
    """What stands there with another value than it has is said to be an example."""
    text = write_plan(_proposal("public", "t", "id", "shop"))
    lines = text[text.index("[options]") : text.index("# All tables whose types change")].splitlines()
    shown = {line.removeprefix("# ").split(" = ")[0]: line for line in lines if " = " in line}
    unset = {name for name, field in OptionsPlan.model_fields.items() if field.default is None}
    assert unset == {"chunk_mb"}
    assert {name for name, line in shown.items() if line.endswith("# an example, not the default")} == unset


@pytest.mark.parametrize("name", ["id", "ID", "user_id", "userId", "USER_ID", "public_uuid", "traceUUID", "order_ids"])
def test_names_of_ids(name: str) -> None:
    assert looks_like_id(name)


@pytest.mark.parametrize("name", ["paid", "grid", "android", "valid", "idea", "name", "PAID"])
def test_names_that_only_sound_like_ids(name: str) -> None:
    assert not looks_like_id(name)
