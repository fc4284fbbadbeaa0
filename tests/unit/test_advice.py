"""How many processes are recommended, and for what reason."""

import pytest

from monitoring.status.advice import Load, advise

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("load", "recommended", "words"),
    [
        (Load(processes=2, window=8, waiting=100, leased=2), 8, "6 more could work"),
        (Load(processes=0, window=8, waiting=100, leased=0), 8, "8 more could work"),
        (Load(processes=8, window=0, waiting=100, leased=3), 1, "the window is closed"),
        (Load(processes=8, window=2, waiting=100, leased=2), 2, "6 fewer would do the same work: the window allows 2"),
        (Load(processes=8, window=16, waiting=2, leased=1), 3, "only 3 jobs are left"),
        (Load(processes=8, window=8, waiting=100, leased=8), 8, "the number is right"),
        (Load(processes=4, window=16, waiting=5, leased=0, unheard="replank.index"), 5, "--queues replank.index"),
        (Load(processes=4, window=16, waiting=5, leased=4, unheard="replank.index"), 9, "could work"),
        (Load(processes=2, window=16, waiting=50, leased=2, cpus=2), 4, "2 processors"),
        (Load(processes=2, window=16, waiting=50, leased=2, job_s=0.01), 2, "jobs take 10 ms"),
        (Load(processes=2, window=0, waiting=50, leased=0, paused=True), 2, "paused"),
        (Load(processes=5, window=8, waiting=0, leased=0), 1, "no waiting job can start"),
    ],
)
def test_advice(load: Load, recommended: int, words: str) -> None:
    advice = advise(load)
    assert (advice.recommended, words in advice.reason) == (recommended, True), advice.reason
