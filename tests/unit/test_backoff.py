"""Waits between attempts: they grow, stay bounded, and no two come back together."""

import random

import pytest

from replank.backoff import DATABASE, JOB, SHORT_LOCK, SWAP_LOCKS, SWAP_MOMENT, Backoff

pytestmark = pytest.mark.unit

ALL = (SHORT_LOCK, SWAP_LOCKS, SWAP_MOMENT, JOB, DATABASE)


@pytest.mark.parametrize("backoff", ALL)
def test_waits_grow_to_their_bound_and_stay_there(backoff: Backoff) -> None:
    source = random.Random(1)
    longest = [backoff.longest_s(attempt) for attempt in range(1, 60)]
    assert longest[0] == backoff.first_s
    assert longest == sorted(longest)
    assert longest[-1] == backoff.most_s
    for attempt in (1, 2, 5, 59):
        waits = [backoff.wait_s(attempt, source) for _ in range(100)]
        assert backoff.longest_s(attempt) / 2 <= min(waits) <= max(waits) <= backoff.longest_s(attempt)
        assert len(set(waits)) > 90, "without jitter all would come back at once"


@pytest.mark.parametrize("backoff", ALL)
def test_any_number_of_attempts_has_a_wait(backoff: Backoff) -> None:
    """A plan may allow millions: 1.4 to that power is no float."""
    assert backoff.longest_s(10**9) == backoff.most_s


def test_the_same_source_gives_the_same_waits() -> None:
    waits = [[SHORT_LOCK.wait_s(n, source) for n in range(1, 9)] for source in (random.Random(3), random.Random(3))]
    assert waits[0] == waits[1]


@pytest.mark.parametrize("wrong", [{"first_s": 0.0}, {"first_s": 3.0}, {"factor": 1.0}])
def test_waits_that_would_not_grow_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="grows"):
        Backoff(**{"first_s": 1.0, "most_s": 2.0, **wrong})
