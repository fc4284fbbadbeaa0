"""Every state of a run, a table and a job, and every transition that is allowed, each with its reason.

The ledger asks `sources()` for the states an UPDATE may start from and puts them into the UPDATE
itself, so that a transition that stands in no table here cannot be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    RUNNING = "running"
    NEEDS_PERSON = "needs_person"
    DONE = "done"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


class TableState(StrEnum):
    PLANNED = "planned"
    CAPTURED = "captured"
    COPYING = "copying"
    FIRST_DRAIN = "first_drain"
    INDEXING = "indexing"
    CATCHING_UP = "catching_up"
    VERIFYING = "verifying"
    REPAIRING = "repairing"
    READY = "ready"
    SWAPPED = "swapped"
    VALIDATING = "validating"
    DONE = "done"


class JobState(StrEnum):
    WAITING = "waiting"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


class JobKind(StrEnum):
    COPY = "copy"
    DRAIN = "drain"
    INDEX = "index"
    VACUUM = "vacuum"
    VERIFY = "verify"
    REPAIR = "repair"
    VALIDATE = "validate"


Transitions = Mapping[tuple[StrEnum, StrEnum], str]

RUN_TRANSITIONS: Transitions = {
    (RunState.RUNNING, RunState.NEEDS_PERSON): "a job or a barrier failed and no other work is left",
    (RunState.NEEDS_PERSON, RunState.RUNNING): "an operator had the failed jobs tried again",
    (RunState.RUNNING, RunState.DONE): "every table is swapped and every foreign key validated",
    (RunState.RUNNING, RunState.ROLLING_BACK): "an operator asked for a rollback before the cutover",
    (RunState.NEEDS_PERSON, RunState.ROLLING_BACK): "an operator rolls back instead of repairing",
    (RunState.ROLLING_BACK, RunState.ROLLED_BACK): "every trace of the run is removed",
}

TABLE_TRANSITIONS: Transitions = {
    (
        TableState.PLANNED,
        TableState.CAPTURED,
    ): "next table, change log and capture triggers committed together",
    (TableState.CAPTURED, TableState.COPYING): "the first chunks were cut after capture had committed",
    (TableState.COPYING, TableState.CAPTURED): "the table's file was rewritten: its copy starts again",
    (TableState.COPYING, TableState.FIRST_DRAIN): "cutting has finished and no copy job is unfinished",
    (TableState.FIRST_DRAIN, TableState.INDEXING): "next equals live as of the drain's snapshot",
    (TableState.INDEXING, TableState.CATCHING_UP): "every index is built and every constraint attached",
    (TableState.CATCHING_UP, TableState.VERIFYING): "the log is short: compare both sides at one snapshot",
    (TableState.VERIFYING, TableState.CATCHING_UP): "the snapshot was lost with its session: compare anew",
    (TableState.VERIFYING, TableState.REPAIRING): "the sums differ: list the keys and send them to the log",
    (TableState.REPAIRING, TableState.CATCHING_UP): "the differing keys are in the log: drain, compare anew",
    (TableState.VERIFYING, TableState.READY): "counts and sums are equal",
    (TableState.READY, TableState.SWAPPED): "the cutover of the conversion set committed",
    (TableState.SWAPPED, TableState.VALIDATING): "the lock is gone: its foreign keys may be read through",
    (TableState.VALIDATING, TableState.DONE): "its foreign keys are validated, capture is removed",
}

JOB_TRANSITIONS: Transitions = {
    (JobState.WAITING, JobState.LEASED): "a worker committed its lease; the attempt number is its fence",
    (JobState.LEASED, JobState.DONE): "the data change and this word committed together",
    (JobState.LEASED, JobState.WAITING): "a passing error, or a worker that is gone: try again later",
    (JobState.LEASED, JobState.FAILED): "the error will not pass by itself, or the attempts are used up",
    (JobState.WAITING, JobState.FAILED): "every attempt was used up by workers that vanished",
    (JobState.FAILED, JobState.WAITING): "an operator asked for another try",
    (JobState.WAITING, JobState.CANCELLED): "the chunk no longer exists: its table was rewritten",
    (JobState.FAILED, JobState.CANCELLED): "the chunk no longer exists: its table was rewritten",
}

FINISHED_JOBS = (JobState.DONE, JobState.QUARANTINED, JobState.CANCELLED)
"""A barrier opens only when every job is in one of these."""

OPEN_RUNS = (RunState.RUNNING, RunState.NEEDS_PERSON, RunState.ROLLING_BACK)

_TABLES: Mapping[type[StrEnum], Transitions] = {
    RunState: RUN_TRANSITIONS,
    TableState: TABLE_TRANSITIONS,
    JobState: JOB_TRANSITIONS,
}


def sources(target: StrEnum) -> list[str]:
    """The states from which `target` may be reached."""
    return [str(before) for before, after in _TABLES[type(target)] if after is target]
