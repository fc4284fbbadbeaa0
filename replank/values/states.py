"""Every state of a run, a table, a cache and a job, and every transition that is allowed, each with its reason.

The ledger asks `sources()` for the states an UPDATE may start from and puts them into the UPDATE
itself, so that a transition that stands in no table here cannot be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal


class RunState(StrEnum):
    RUNNING = "running"
    NEEDS_OPERATOR = "needs_operator"
    DONE = "done"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    FINISHED = "finished"


class RollbackStage(StrEnum):
    """What a rollback does, in this order; one of a run that was never swapped leaves out most."""

    ENDING_JOBS = "ending_jobs"
    PREPARING = "preparing"
    COMPARING = "comparing"
    SWAPPING_BACK = "swapping_back"
    VALIDATING = "validating"
    REMOVING = "removing"
    UNDOING_STEPS = "undoing_steps"


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
    EXTENDED = "extended"
    BACKFILLING = "backfilling"
    CONSTRAINING = "constraining"
    DONE = "done"
    SWAPPED_BACK = "swapped_back"
    RESTORED = "restored"


class ResendCause(StrEnum):
    """Why a job was sent again, most likely: what the broker and the workers looked like then."""

    NO_WORKER = "no_worker"
    EVICTED = "evicted"
    LOST = "lost"
    BUSY = "busy"
    UNKNOWN = "unknown"


class CacheState(StrEnum):
    PLANNED = "planned"
    BUILDING = "building"
    INDEXING = "indexing"
    READY = "ready"
    SWAPPED = "swapped"
    DONE = "done"


class SwapWait(StrEnum):
    """What the swap of a conversion set or a cache waits for."""

    PAUSE = "pause"
    """A table of it is paused."""
    WINDOW = "window"
    """The plan's windows are closed."""
    PROOF = "proof"
    """What was compared does not count any more."""
    ATTEMPT = "attempt"
    """An attempt was missed: the next one comes by itself."""
    ROWS = "rows"
    """A row in a change log does not come through: drain jobs look for it."""


class WindowCause(StrEnum):
    """Why the governor's window is what it is; the first three are said of a signal."""

    OVER = "over"
    NEAR = "near"
    UNREAD = "unread"
    RAISED = "raised"
    LIMIT = "limit"
    PAUSED = "paused"


class JobState(StrEnum):
    WAITING = "waiting"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SPLIT = "split"
    SKIPPED = "skipped"


class JobKind(StrEnum):
    COPY = "copy"
    DRAIN = "drain"
    INDEX = "index"
    VACUUM = "vacuum"
    VERIFY = "verify"
    REPAIR = "repair"
    VALIDATE = "validate"
    BACKFILL = "backfill"
    CACHE = "cache"


AttemptOutcome = Literal["again", "split", "failed", "lost", "stopped"]
"""How an attempt of a job ended that did not end well."""

RestraintKind = Literal["pause", "throttle"]
RestraintCause = Literal["operator", "panic", "breaker"]
ScriptDirection = Literal["forward", "back"]
DeliveryState = Literal["trying", "delivered", "given_up"]
GateState = Literal["open", "passed", "overridden"]
GateRecordKind = Literal["attested", "overridden", "backup", "verified", "rehearsed"]
CacheKind = Literal["table", "materialized_view", "prewarm", "redis"]
CaptureMode = Literal["statement", "row"]

SPLITTING_KINDS = frozenset({JobKind.COPY, JobKind.BACKFILL, JobKind.VERIFY})
"""Their chunks are ranges of rows that may be halved; drains and indexes are of a whole table."""

Transitions = Mapping[tuple[StrEnum, StrEnum], str]

RUN_TRANSITIONS: Transitions = {
    (RunState.RUNNING, RunState.NEEDS_OPERATOR): "a job or a barrier failed and no other work is left",
    (RunState.NEEDS_OPERATOR, RunState.RUNNING): "an operator retried the failed jobs",
    (RunState.RUNNING, RunState.DONE): "every table is swapped, every foreign key validated, every cache rebuilt",
    (RunState.RUNNING, RunState.ROLLING_BACK): "an operator asked for a rollback",
    (RunState.NEEDS_OPERATOR, RunState.ROLLING_BACK): "an operator rolls back instead of repairing",
    (RunState.DONE, RunState.ROLLING_BACK): "an operator rolls back after the cutover",
    (RunState.ROLLING_BACK, RunState.ROLLED_BACK): "all objects of the run are removed",
    (
        RunState.ROLLING_BACK,
        RunState.RUNNING,
    ): "rolled back to the requested step: the run continues forward from there",
    (RunState.DONE, RunState.FINISHED): "an operator finished the run: the past tables are dropped",
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
    (
        TableState.INDEXING,
        TableState.FIRST_DRAIN,
    ): "rows that became the same uuid were corrected: drain before the index",
    (TableState.INDEXING, TableState.CATCHING_UP): "every index is built and every constraint attached",
    (TableState.CATCHING_UP, TableState.VERIFYING): "the change log is short: compare both tables at one snapshot",
    (TableState.VERIFYING, TableState.CATCHING_UP): "the snapshot was lost with its session: compare again",
    (
        TableState.VERIFYING,
        TableState.REPAIRING,
    ): "the verification sums differ: list the keys and write them to the change log",
    (TableState.REPAIRING, TableState.CATCHING_UP): "the differing keys are in the change log: drain and compare again",
    (TableState.VERIFYING, TableState.READY): "counts and sums are equal",
    (TableState.READY, TableState.CATCHING_UP): "its verification is not valid any more: compare both tables again",
    (TableState.READY, TableState.VERIFYING): "a verification that ran while the cutover waited found mismatches",
    (TableState.READY, TableState.SWAPPED): "the cutover of the conversion set committed",
    (TableState.SWAPPED, TableState.VALIDATING): "the lock is released: its foreign keys can be validated",
    (TableState.VALIDATING, TableState.DONE): "its foreign keys are validated, capture is removed",
    (TableState.PLANNED, TableState.EXTENDED): "backfill: new columns, defaults and the trigger committed together",
    (TableState.EXTENDED, TableState.BACKFILLING): "the first chunks of a round are cut along the key",
    (TableState.BACKFILLING, TableState.EXTENDED): "the round filled rows: one more, until a round finds none",
    (TableState.CONSTRAINING, TableState.EXTENDED): "the trigger that fills new rows was missing: one more round",
    (TableState.BACKFILLING, TableState.CONSTRAINING): "a whole round found no row to fill",
    (TableState.CONSTRAINING, TableState.DONE): "unique indexes and NOT NULL hold, the trigger is removed",
    (TableState.SWAPPED, TableState.SWAPPED_BACK): "rollback: the past tables of its set are live again",
    (TableState.VALIDATING, TableState.SWAPPED_BACK): "rollback: the past tables of its set are live again",
    (TableState.DONE, TableState.SWAPPED_BACK): "rollback: the past tables of its set are live again",
    (TableState.SWAPPED_BACK, TableState.RESTORED): "its foreign keys are validated: the new table may be dropped",
}

CACHE_TRANSITIONS: Transitions = {
    (CacheState.PLANNED, CacheState.BUILDING): "every table is done: next contents and jobs committed together",
    (CacheState.BUILDING, CacheState.INDEXING): "every chunk of the query is filled in: indexes come after the rows",
    (CacheState.INDEXING, CacheState.READY): "every index is built and every constraint attached",
    (CacheState.READY, CacheState.SWAPPED): "old and new contents were swapped in one transaction",
    (CacheState.SWAPPED, CacheState.DONE): "its foreign keys are validated, the marks of changed rows are removed",
    (CacheState.BUILDING, CacheState.DONE): "refreshed, prewarmed or deleted: there is nothing to swap",
    (CacheState.BUILDING, CacheState.PLANNED): "the table's definition was changed: its contents are built again",
    (CacheState.INDEXING, CacheState.PLANNED): "the table's definition was changed: its contents are built again",
    (CacheState.READY, CacheState.PLANNED): "the table's definition was changed: its contents are built again",
}

JOB_TRANSITIONS: Transitions = {
    (JobState.WAITING, JobState.LEASED): "a worker committed its lease; the attempt number is its fence",
    (JobState.LEASED, JobState.DONE): "the data change and this state committed together",
    (JobState.LEASED, JobState.WAITING): "a transient error, or a lost worker: try again later",
    (JobState.LEASED, JobState.FAILED): "a permanent error, or the attempts are used up",
    (JobState.WAITING, JobState.FAILED): "all attempts were used up by lost workers",
    (JobState.FAILED, JobState.WAITING): "an operator asked for another attempt",
    (JobState.WAITING, JobState.CANCELLED): "the chunk no longer exists: its table was rewritten",
    (JobState.FAILED, JobState.CANCELLED): "the chunk no longer exists: its table was rewritten",
    (JobState.LEASED, JobState.SPLIT): "the chunk failed: two halves of its range replace it",
    (JobState.FAILED, JobState.SPLIT): "an operator asked for smaller chunks: its halves replace it",
    (JobState.FAILED, JobState.SKIPPED): "an operator skipped it, with a reason; it is skipped for good",
}

OPEN_RUNS = (RunState.RUNNING, RunState.NEEDS_OPERATOR, RunState.ROLLING_BACK)

BEFORE_GOING_BACK = (
    RollbackStage.ENDING_JOBS,
    RollbackStage.PREPARING,
    RollbackStage.COMPARING,
    RollbackStage.SWAPPING_BACK,
)
"""Until a set has changed places in the last of them, the application sees nothing of a rollback."""

GIVEN_UP = (RunState.ROLLING_BACK, RunState.DONE)
"""A rollback of a run that was done is refused before any table changes places. Not among the transitions: a
coordinator that ends a run must not end its rollback. Only `sql.ledger.runs.rollbacks.give_up` does this."""

_TABLES: Mapping[type[StrEnum], Transitions] = {
    RunState: RUN_TRANSITIONS,
    TableState: TABLE_TRANSITIONS,
    CacheState: CACHE_TRANSITIONS,
    JobState: JOB_TRANSITIONS,
}


def sources(target: StrEnum) -> list[str]:
    """The states from which `target` may be reached."""
    return [str(before) for before, after in _TABLES[type(target)] if after is target]
