"""What a worker's processes tell its main process: little, whole, and in a form that Celery passes on."""

from __future__ import annotations

import pickle

import pytest
from celery import states
from celery.utils.saferepr import saferepr
from hypothesis import given
from hypothesis import strategies as st

from replank.values.states import JobState
from workers.application.job_request import EVENTS, EXCEPTIONS, FAILED, RETRIED
from workers.application.report import LONGEST, LONGEST_WORDS, Report
from workers.execution.outcome import OF_STATE, Outcome

pytestmark = pytest.mark.unit

ATOMIC_BYTES = 4_096
"""A pipe takes so much at once or not at all (PIPE_BUF)."""


@given(st.sampled_from(Outcome), st.text(max_size=600))
def test_a_report_is_read_as_it_was_written(outcome: Outcome, words: str) -> None:
    shown = saferepr(Report(outcome=outcome, words=words), LONGEST)
    assert Report.read(shown) == Report(outcome=outcome, words=words[:LONGEST_WORDS])
    # As Celery's pool sends it
    assert len(pickle.dumps((2, (1, 0, (True, (0, shown, 0.5)), 5)))) < ATOMIC_BYTES


@pytest.mark.parametrize("shown", ["", "'done'", "[]", '["done"]', '["unheard of", ""]', '["done", "x'])
def test_what_is_no_report_is_refused(shown: str) -> None:
    with pytest.raises(ValueError):
        Report.read(shown)


def test_every_outcome_has_an_event_and_every_state_of_a_job_an_outcome() -> None:
    assert set(EVENTS) == set(Outcome)
    assert set(OF_STATE) == set(JobState)
    assert set(EXCEPTIONS) == {RETRIED, FAILED}
    # A state that monitors make of the event's name, and that outdoes the one before it
    assert states.precedence("IGNORED") < states.precedence("STARTED") < states.precedence("REJECTED")
