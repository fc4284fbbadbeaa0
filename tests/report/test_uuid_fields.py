"""The first criterion: what the plan asked for, and beside it the models that it left alone, each with its reason."""

import psycopg
import pytest

from report.conftest import Criteria

pytestmark = pytest.mark.catalogue

WITHOUT = "public.<b>note</b>"


def test_what_the_plan_asked_for_is_counted(app: psycopg.Connection, criteria: Criteria) -> None:
    # Given a run that is done, and a model whose own key is a number that nobody asked to change
    found = criteria()[0]
    # Then all that was asked for is there, and the model stands beside it
    assert found.criterion == "All 7 tables of the plan have their uuid fields"
    assert (found.measured, found.target, found.met, found.names) == (7, 7, True, ())
    assert found.shown.startswith("10 of 10 columns in 7 of 7 tables")
    assert found.left_alone == (f"{WITHOUT}: the plan changes account_id; its key id is bigint",)
    assert (
        f"left alone without a uuid of its own: {WITHOUT} (the plan changes account_id; its key id is bigint)"
        in found.shown
    )
    assert found.to_json()["left_alone"] == list(found.left_alone)

    # When tables come that no plan names
    app.execute("CREATE TABLE later (id text PRIMARY KEY); CREATE TABLE heap (n int)")
    # Then they are named with what is known of them, and nothing is missed
    found = criteria()[0]
    assert found.met is True
    assert found.left_alone[1:] == (
        "public.heap: the plan does not name it; it has no primary key",
        "public.later: the plan does not name it; its key id is text",
    )


@pytest.mark.parametrize(
    ("change", "missing", "tables"),
    [
        ("ALTER TABLE profile ALTER account_id TYPE text", ("public.profile.account_id is text",), 6),
        ("DROP TABLE membership CASCADE", ("public.membership is not there",), 6),
        ("ALTER TABLE tag DROP COLUMN uuid", ("public.tag.uuid is not there",), 6),
        ("ALTER TABLE tag ALTER uuid DROP NOT NULL", ("public.tag.uuid does not tell every row apart",), 6),
    ],
)
def test_what_is_not_there_stands_against_it(
    app: psycopg.Connection, criteria: Criteria, change: str, missing: tuple[str, ...], tables: int
) -> None:
    app.execute("ALTER TABLE profile DROP CONSTRAINT profile_account_id_fkey")
    app.execute(change.encode())
    found = criteria()[0]
    assert (found.measured, found.target, found.met, found.names) == (tables, 7, False, missing)


def test_a_plan_that_asks_for_no_uuid_is_not_judged_by_it(app: psycopg.Connection, criteria: Criteria) -> None:
    app.execute("UPDATE replank.run SET plan = jsonb_set(plan #- '{steps,uuid_fields}', '{tables}', '[]')")
    found = criteria()[0]
    assert (found.measured, found.target, found.met) == (0, 0, None)
    assert "the plan asks for no uuid" in found.shown


def test_a_plan_that_expects_all_models_asks_for_all(app: psycopg.Connection, criteria: Criteria) -> None:
    app.execute("UPDATE replank.run SET plan = jsonb_set(plan, '{success,models}', '6')")
    found = criteria()[0]
    assert found.criterion == "All 6 models have uuid fields"
    assert (found.measured, found.target, found.met) == (5, 6, False)
    assert found.names == (f"{WITHOUT}: the plan changes account_id; its key id is bigint",)
    app.execute('ALTER TABLE "<b>note</b>" ADD COLUMN uuid uuid DEFAULT gen_random_uuid() NOT NULL UNIQUE')
    assert criteria()[0].met is True
    app.execute("ALTER TABLE profile DROP CONSTRAINT profile_account_id_fkey, ALTER account_id TYPE text")
    found = criteria()[0]
    assert (found.measured, found.met, found.names) == (6, False, ("public.profile.account_id is text",))
