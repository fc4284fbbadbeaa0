"""`python -m benchmarks.estimate.replay`: how honest the time left was, by recordings of real runs.

Every moment of every recording goes through the very function of the product. From the first tenth of a run on, it is
asked whether the time that was really left (pauses left out) lay in the interval. A moment without an answer counts as
one in which it did not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.estimate.recordings import Recording, read_recordings
from monitoring.estimate.eta import Eta, estimate

FROM_SHARE = 0.1
WANTED_COVERAGE = 0.8

TUNED_ON = frozenset(
    {
        "one-large",
        "large-among-small",
        "twenty-mixed",
        "backfill",
        "two-large-by-key",
        "platform",
    }
)
"""The constants of the estimate were chosen by these; all others were only checked afterwards."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Of one recording, or of several: `coverage` of the interval, the middle's median error and the mean width.

    Error and width are shares of the time that was really left.
    """

    name: str
    moments: int
    answered: int
    covered: int
    error: float
    width: float

    @property
    def coverage(self) -> float:
        return self.covered / self.moments if self.moments else 0.0


@dataclass(frozen=True, kw_only=True)
class _Answer:
    truth_s: float
    eta: Eta | None

    @property
    def covered(self) -> bool:
        return self.eta is not None and self.eta.low <= self.truth_s <= self.eta.high


def answers(recording: Recording) -> list[_Answer]:
    """After the first tenth of the run."""
    return [
        _Answer(truth_s=recording.end_s - moment.at_s, eta=estimate(moment))
        for moment in recording.moments
        if moment.open and moment.at_s >= FROM_SHARE * recording.end_s and moment.at_s < recording.end_s
    ]


def score(name: str, found: Sequence[_Answer]) -> Score:
    told = [(answer.truth_s, answer.eta) for answer in found if answer.eta is not None]
    return Score(
        name=name,
        moments=len(found),
        answered=len(told),
        covered=sum(answer.covered for answer in found),
        error=statistics.median([abs(eta.middle - truth) / max(truth, 0.1) for truth, eta in told] or [0.0]),
        width=statistics.mean([(eta.high - eta.low) / max(truth, 0.1) for truth, eta in told] or [0.0]),
    )


def score_all(recordings: Sequence[Recording]) -> list[Score]:
    """Each recording, then all that the constants were tuned on, then all that were held out."""
    each = {recording.name: answers(recording) for recording in recordings}
    scores = [score(name, found) for name, found in each.items()]
    for title, tuned in (("(tuned on)", True), ("(held out)", False)):
        together = [a for name, found in each.items() if (name in TUNED_ON) is tuned for a in found]
        scores.append(score(title, together))
    return scores


def show(scores: Sequence[Score], console: Console) -> None:
    table = Table(title="The time left: was it in the interval, after the first tenth of the run?")
    for heading in ("recording", "moments", "answered", "covered", "median error", "mean width"):
        table.add_column(heading, justify="left" if heading == "recording" else "right")
    for one in scores:
        marks = f"{one.name} *" if one.name in TUNED_ON else one.name
        share = f"{100 * one.coverage:.0f} %"
        table.add_row(
            marks, str(one.moments), str(one.answered), share, f"{100 * one.error:.0f} %", f"{one.width:.2f} ×"
        )
    console.print(table)
    console.print("* tuned on; error and width are shares of the time that was really left")


def main(arguments: Sequence[str] | None = None) -> int:
    """Score all recordings; exit code 1 where those held out, or those tuned on, are covered less than wanted."""
    parser = argparse.ArgumentParser(prog="benchmarks.estimate.replay", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line of standard output")
    options = parser.parse_args(arguments)
    scores = score_all(read_recordings())
    show(scores, Console(stderr=options.json))
    if options.json:
        print(json.dumps({"scores": [{**asdict(one), "coverage": round(one.coverage, 4)} for one in scores]}))
    return 0 if all(one.coverage >= WANTED_COVERAGE for one in scores[-2:]) else 1


if __name__ == "__main__":
    sys.exit(main())
