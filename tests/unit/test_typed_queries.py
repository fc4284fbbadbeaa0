"""Statements about the ledger: compiled once, with constants in the text and only what is given as parameters."""

import pytest
from sqlalchemy import func, select, update

from replank.values.states import RunState
from sql.ledger.schema.run_tables import RUN
from sql.session.typed_queries import Command, Query, among, given, seconds

pytestmark = pytest.mark.unit


def test_what_is_given_is_a_parameter_and_everything_else_stands_in_the_text() -> None:
    """A partial index serves a query only where the planner sees the constant, also in a plan that is kept."""
    asked = Query(
        select(RUN.c.run_id)
        .where(RUN.c.state.in_((RunState.RUNNING, RunState.DONE)), RUN.c.plan_name == given("plan_name"))
        .limit(1),
        int,
    )
    text = asked.text.as_string(None)
    assert "IN ('running', 'done')" in text
    assert "LIMIT 1" in text
    assert "%(plan_name)s" in text
    assert text.count("%(") == 1


def test_a_percent_sign_in_a_constant_is_no_parameter() -> None:
    told = Command(update(RUN).where(RUN.c.run_id == given("run_id")).values(reason="100 % of it's"))
    assert "'100 %% of it''s'" in told.text.as_string(None)


def test_lists_and_seconds_are_parameters() -> None:
    late = Command(
        update(RUN)
        .where(among(RUN.c.state, "sources"))
        .values(finished_at=func.clock_timestamp() + seconds("delay_s"), reason=given("reason"))
    )
    text = late.text.as_string(None)
    assert "= ANY (%(sources)s" in text
    assert "%(delay_s)s * interval '1 second'" in text
    assert "%(reason)s" in text
