"""What became of a delivery."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from replank.values.states import JobState


class Outcome(StrEnum):
    """`NOTHING`: this delivery changed nothing. `LOST`: the ledger could not be asked, so the coordinator finds out."""

    DONE = "done"
    NOTHING = "nothing"
    AGAIN = "again"
    SPLIT = "split"
    FAILED = "failed"
    LOST = "lost"


OF_STATE: Mapping[JobState, Outcome] = {
    JobState.DONE: Outcome.DONE,
    JobState.SPLIT: Outcome.SPLIT,
    JobState.FAILED: Outcome.FAILED,
    JobState.WAITING: Outcome.AGAIN,
    JobState.LEASED: Outcome.AGAIN,
    JobState.CANCELLED: Outcome.NOTHING,
    JobState.SKIPPED: Outcome.NOTHING,
}
"""What a delivery came to, by the state in which its worker finds the job after a lost session.

A leased one waits by then: looking gives the lease back.
"""
