"""The window's arithmetic: never above the maximum, never up while something is over, and never stuck."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.dispatch.window import CALM, HALVE_S, Pace, next_pace
from sql.health.health_signals import Reading

pytestmark = pytest.mark.unit

FINE = Reading(signal="probe", strain=0.1, words="fine")
NEAR = Reading(signal="probe", strain=0.9, words="near")
BUSY = Reading(signal="probe", strain=1.5, words="busy")
BEHIND = Reading(signal="slot_retained", strain=1.5, words="behind", backlog=True)
UNREAD = Reading(signal="probe", problem="permission denied")


def play(*looks: Reading, maximum: int = 16, start: Pace | None = None, step_s: float = 1.0) -> list[Pace]:
    """The paces after each reading, one every `step_s` seconds."""
    pace, found = start or Pace(size=4), []
    for number, reading in enumerate(looks):
        pace = next_pace(pace, [FINE, reading], maximum=maximum, now=number * step_s)
        found.append(pace)
    return found


def test_it_doubles_until_the_maximum_while_nothing_was_ever_over() -> None:
    assert [pace.size for pace in play(FINE, FINE, FINE)] == [8, 16, 16]


def test_it_is_halved_at_once_and_then_only_after_the_halving_could_show() -> None:
    sizes = [pace.size for pace in play(*[BUSY] * 11, start=Pace(size=16))]
    assert sizes == [8] * 5 + [4] * 5 + [2]


def test_after_a_halving_it_is_raised_by_one() -> None:
    sizes = [pace.size for pace in play(BUSY, FINE, FINE, FINE, start=Pace(size=16))]
    assert sizes == [8, 9, 10, 11]


def test_load_leaves_one_job_and_a_backlog_none() -> None:
    long = HALVE_S + 0.1
    assert [pace.size for pace in play(BUSY, BUSY, BUSY, step_s=long)] == [2, 1, 1]
    closed = play(BEHIND, BEHIND, BEHIND, BEHIND, FINE, FINE, step_s=long)
    assert [pace.size for pace in closed] == [2, 1, 0, 0, 1, 2]
    assert closed[3].reason == "closed: behind"


def test_near_the_limit_it_neither_rises_nor_falls() -> None:
    assert {pace.size for pace in play(*[NEAR] * 30)} == {4}


def test_what_cannot_be_read_closes_it_and_reading_again_opens_it() -> None:
    closed, opened = play(UNREAD, FINE)
    assert closed.closed
    assert "permission denied" in closed.reason
    assert not opened.closed
    assert opened.size == 8


def test_a_lower_maximum_holds_at_once() -> None:
    assert play(FINE, maximum=3, start=Pace(size=16))[0].size == 3


@given(
    strains=st.lists(st.tuples(st.floats(0, 3), st.booleans()), min_size=1, max_size=80),
    maximum=st.integers(1, 40),
)
def test_any_course(strains: list[tuple[float, bool]], maximum: int) -> None:
    pace = Pace(size=maximum)
    for now, (strain, backlog) in enumerate(strains):
        before = pace
        pace = next_pace(
            pace, [Reading(signal="x", strain=strain, words="x", backlog=backlog)], maximum=maximum, now=float(now)
        )
        assert 0 <= pace.size <= maximum
        if strain > CALM:
            # A load leaves one job in flight, also where a backlog left none before.
            assert pace.size <= max(before.size, 1)
        if strain > 1:
            assert backlog or before.size == 0 or pace.size >= 1
    for later in range(maximum + 1):
        pace = next_pace(pace, [FINE], maximum=maximum, now=len(strains) + HALVE_S + later)
    assert pace.size == maximum
