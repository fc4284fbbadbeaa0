"""Workers going through stages: sums, longest jobs, sets that wait for each other."""

import pytest

from monitoring.estimate.schedule import Chain, Stage, makespan

pytestmark = pytest.mark.unit


def _seconds(*chains: Chain, workers: int = 2) -> float:
    return makespan(chains, workers=workers, handover_s=0.0)


def _alone(number: int, *stages: Stage) -> Chain:
    return Chain(set_no=number, before=stages)


def test_work_is_shared_by_as_many_as_there_are() -> None:
    table = _alone(1, Stage(seconds=12.0, width=8, least=0.1))
    assert [_seconds(table, workers=n) for n in (1, 2, 4)] == pytest.approx([12.0, 6.0, 3.0])


def test_a_stage_takes_as_long_as_its_longest_job() -> None:
    indexes = _alone(1, Stage(seconds=12.0, width=3, least=10.0))
    assert _seconds(indexes, workers=4) == pytest.approx(10.0)


def test_while_one_waits_for_its_longest_job_others_work() -> None:
    large = _alone(1, Stage(seconds=10.0, width=1, least=10.0))
    small = _alone(2, Stage(seconds=9.0, width=9))
    assert _seconds(large, small, workers=2) == pytest.approx(10.0)


def test_a_set_swaps_when_its_last_table_is_ready() -> None:
    quick = Chain(set_no=1, before=(Stage(seconds=1.0),), after=(Stage(seconds=2.0),), swap_s=0.5)
    slow = Chain(set_no=1, before=(Stage(seconds=5.0),), after=(), swap_s=0.5)
    assert _seconds(quick, slow) == pytest.approx(5.0 + 1.0 + 2.0)


def test_the_coordinator_does_one_thing_after_the_other() -> None:
    tables = [_alone(n, Stage(seconds=0.0, turn_s=0.5)) for n in range(10)]
    assert _seconds(*tables, workers=8) == pytest.approx(5.0)


def test_nothing_left_takes_nothing() -> None:
    assert _seconds() == 0.0
    assert _seconds(_alone(1)) == 0.0


def test_a_thousand_tables_are_simulated_in_a_moment() -> None:
    stages = tuple(Stage(seconds=0.1, width=2, least=0.01, turn_s=0.001) for _ in range(6))
    chains = [Chain(set_no=n // 7, before=stages, after=stages[:1]) for n in range(1_000)]
    assert _seconds(*chains, workers=16) == pytest.approx(1_000 * 0.7 / 16, rel=0.1)
