"""How many processes each worker gets, and how many the window asks for."""

import pytest

from producer.operator.pools import Pool
from producer.operator.scaling import targets_of
from replank.errors import WrongUse
from workers.application.window_autoscaler import processes_wanted

pytestmark = pytest.mark.unit


def pools(*sizes: int, following: int = 0) -> list[Pool]:
    fixed = [Pool(worker=f"w{n}", processes=size, follows_window=False) for n, size in enumerate(sizes)]
    return fixed + [Pool(worker=f"a{n}", processes=2, follows_window=True) for n in range(following)]


@pytest.mark.parametrize(
    ("sizes", "wanted", "targets"),
    [
        ((2,), 5, [5]),
        ((2, 1), 6, [4, 2]),
        ((8, 2), 20, [15, 5]),
        ((1, 1, 1), 4, [2, 1, 1]),
        ((100, 1), 2, [1, 1]),
        ((0, 4), 5, [2, 3]),
    ],
)
def test_processes_are_spread_in_proportion(sizes: tuple[int, ...], wanted: int, targets: list[int]) -> None:
    given = list(targets_of(pools(*sizes), wanted, worker=None).values())
    assert sum(given) == wanted
    assert min(given) >= 1
    assert given == targets


def test_one_worker_and_those_that_follow_the_window() -> None:
    assert targets_of(pools(2, 2), 7, worker="w1") == {"w1": 7}
    assert targets_of(pools(2, following=1), 3, worker=None) == {"w0": 3}
    for wrong, worker in ((pools(following=1), None), (pools(2, following=1), "a0"), ([], None), (pools(1), "w9")):
        with pytest.raises(WrongUse):
            targets_of(wrong, 3, worker=worker)


@pytest.mark.parametrize(
    ("wanted", "waiting", "targets"),
    [
        (8, ("replank.index",), {"copier": 4, "indexer": 4}),
        (5, ("replank.index",), {"copier": 3, "indexer": 2}),
        (3, ("replank.index",), {"copier": 1, "indexer": 2}),
        (2, ("replank.index",), {"copier": 1, "indexer": 1}),
        (9, ("replank.index", "replank.copy"), {"copier": 6, "indexer": 3}),
        (9, ("replank.cache",), {"copier": 6, "indexer": 3}),
        (9, (), {"copier": 6, "indexer": 3}),
    ],
)
def test_workers_grow_that_take_what_waits_and_the_others_shrink_first(
    wanted: int, waiting: tuple[str, ...], targets: dict[str, int]
) -> None:
    answering = [
        Pool(worker="copier", processes=4, follows_window=False, queues=frozenset({"replank.copy"})),
        Pool(worker="indexer", processes=2, follows_window=False, queues=frozenset({"replank.index"})),
    ]
    assert targets_of(answering, wanted, worker=None, waiting=waiting) == targets


def test_the_window_between_the_bounds() -> None:
    assert [processes_wanted(window, least=2, most=8) for window in (None, 0, 1, 5, 16)] == [2, 2, 2, 5, 8]
