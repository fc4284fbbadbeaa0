"""The time left against recordings of real runs: in the interval at four moments of five; replays are exact."""

from pathlib import Path

import pytest

from benchmarks.estimate.recordings import read_recording, read_recordings, write_recording
from benchmarks.estimate.replay import TUNED_ON, WANTED_COVERAGE, answers, score, score_all
from monitoring.estimate.eta import estimate

pytestmark = pytest.mark.unit

MOST_BYTES = 400_000


def test_the_interval_holds_the_truth() -> None:
    scores = {one.name: one for one in score_all(read_recordings())}
    for together in ("(tuned on)", "(held out)"):
        assert scores[together].coverage >= WANTED_COVERAGE, scores[together]


def test_about_half_is_held_out() -> None:
    names = {recording.name for recording in read_recordings()}
    assert names >= TUNED_ON
    assert len(names - TUNED_ON) >= 5


def test_a_replay_is_exact(tmp_path: Path) -> None:
    recording = read_recordings()[0]
    again = read_recording(write_recording(recording, tmp_path))
    assert again == recording
    assert [estimate(moment) for moment in again.moments] == [estimate(moment) for moment in recording.moments]


def test_recordings_are_small_and_say_nothing_of_anybody() -> None:
    recordings = read_recordings()
    folder = Path(read_recording.__code__.co_filename).parent
    files = list(folder.glob("*.json"))
    assert len(files) == len(recordings) >= 8
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    assert not any("://" in file.read_text(encoding="utf-8") for file in files)


def test_no_answer_counts_as_a_miss() -> None:
    recording = read_recordings()[0]
    found = answers(recording)
    silent = [type(one)(truth_s=one.truth_s, eta=None) for one in found]
    assert score("silent", silent).coverage == 0.0
    assert score("silent", silent).moments == len(found)
