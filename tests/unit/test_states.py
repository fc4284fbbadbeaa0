"""The tables of transitions: complete, explained, and what the UPDATE is guarded with."""

from __future__ import annotations

from enum import StrEnum

import pytest

from replank.values.states import (
    CACHE_TRANSITIONS,
    JOB_TRANSITIONS,
    RUN_TRANSITIONS,
    TABLE_TRANSITIONS,
    CacheState,
    JobState,
    RunState,
    TableState,
    Transitions,
    sources,
)

pytestmark = pytest.mark.unit

ALL: list[tuple[type[StrEnum], Transitions, StrEnum, set[StrEnum]]] = [
    (RunState, RUN_TRANSITIONS, RunState.RUNNING, set()),
    (TableState, TABLE_TRANSITIONS, TableState.PLANNED, set()),
    (CacheState, CACHE_TRANSITIONS, CacheState.PLANNED, set()),
    (JobState, JOB_TRANSITIONS, JobState.WAITING, set()),
]


@pytest.mark.parametrize(("states", "transitions", "start", "unused"), ALL)
def test_every_state_is_reached_and_every_arrow_explained(
    states: type[StrEnum], transitions: Transitions, start: StrEnum, unused: set[StrEnum]
) -> None:
    reached, edge = {start}, [start]
    while edge:
        here = edge.pop()
        for before, after in transitions:
            if before is here and after not in reached:
                reached.add(after)
                edge.append(after)
    assert reached == set(states) - unused
    assert all(len(why) > 10 for why in transitions.values())


def test_sources_are_what_an_update_may_start_from() -> None:
    assert set(sources(JobState.DONE)) == {"leased"}
    assert set(sources(JobState.LEASED)) == {"waiting"}
    assert set(sources(TableState.SWAPPED)) == {"ready"}


def test_what_is_final_stays_final() -> None:
    for final in (JobState.DONE, JobState.CANCELLED, JobState.SPLIT, JobState.SKIPPED):
        assert not [after for before, after in JOB_TRANSITIONS if before is final]
    for done in (RunState.FINISHED, RunState.ROLLED_BACK):
        assert not [after for before, after in RUN_TRANSITIONS if before is done]
