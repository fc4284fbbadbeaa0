"""A run, its steps and scripts, what holds it back, what happened to it, and its rollback."""

from __future__ import annotations

from typing import get_args

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Table, text

from replank.values.states import (
    OPEN_RUNS,
    DeliveryState,
    RollbackStage,
    RunState,
    ScriptDirection,
    WindowCause,
)
from sql.ledger.schema.columns import LEDGER, big, document, flag, gone_with, identity, moment, number, one_of, words

_OPEN = ", ".join(f"'{state}'" for state in OPEN_RUNS)

RUN = Table(
    "run",
    LEDGER,
    identity("run_id"),
    words("plan_name"),
    words("plan_digest"),
    document("plan"),
    one_of("state", RunState, default=RunState.RUNNING),
    words("reason", default=""),
    words("rollback_to", optional=True),
    flag("hold_cutover", default=False),
    number("window_now"),
    number("window_max"),
    one_of("window_cause", WindowCause, optional=True),
    words("window_signal", default="", comment="The signal that window_cause speaks of."),
    words("window_reason", default=""),
    moment("created_at", now=True),
    moment("finished_at", optional=True),
    words("begun_by", default="", comment="The version of Replank that began it, and wrote its documents."),
    PrimaryKeyConstraint("run_id"),
    # Two runs at once on one database would capture and swap each other's tables.
    Index("one_open_run", text("(true)"), unique=True, postgresql_where=text(f"state IN ({_OPEN})")),
    comment="One execution of one plan.",
)

PHASE = Table(
    "phase",
    LEDGER,
    big("run_id"),
    number("phase"),
    words("name"),
    moment("started_at", optional=True),
    moment("finished_at", optional=True),
    PrimaryKeyConstraint("run_id", "phase"),
    gone_with(RUN, "run_id"),
)

STEP = Table(
    "step",
    LEDGER,
    big("run_id"),
    words("step"),
    number("phase"),
    moment("started_at", optional=True),
    moment("finished_at", optional=True),
    document("measured", default="{}"),
    PrimaryKeyConstraint("run_id", "step"),
    gone_with(PHASE, "run_id", "phase"),
)

SCRIPT = Table(
    "script",
    LEDGER,
    big("run_id"),
    words("step"),
    one_of("direction", get_args(ScriptDirection)),
    document("document"),
    words("checksum"),
    number("blocks"),
    number("blocks_done", default=0),
    PrimaryKeyConstraint("run_id", "step", "direction"),
    gone_with(STEP, "run_id", "step"),
    comment="The scripts of a run's steps as they were when it began: they run as they were compiled, or not at all.",
)

PASS_SCRIPT = Table(
    "pass_script",
    LEDGER,
    big("run_id"),
    words("step"),
    one_of("direction", get_args(ScriptDirection)),
    document("document"),
    words("checksum"),
    flag("reviewed", comment="Read by the operator."),
    PrimaryKeyConstraint("run_id", "step", "direction"),
    gone_with(RUN, "run_id"),
    comment="The pass over the tables as it was compiled when they were planned; jobs say the same.",
)

EVENT = Table(
    "event",
    LEDGER,
    identity("event_id"),
    big("run_id"),
    moment("at", now=True),
    words("actor"),
    words("kind"),
    words("subject", default=""),
    words("message", default=""),
    PrimaryKeyConstraint("event_id"),
    gone_with(RUN, "run_id"),
    # The newest ones of a run.
    Index(None, "run_id", "event_id"),
    comment="What happened to a run, and by whom.",
)

DELIVERY = Table(
    "delivery",
    LEDGER,
    big("event_id"),
    words("receiver", comment="A hash: an address may hold a secret."),
    one_of("state", get_args(DeliveryState)),
    number("attempts"),
    words("problem", default=""),
    moment("at", now=True),
    PrimaryKeyConstraint("event_id", "receiver"),
    gone_with(EVENT, "event_id"),
    comment="What receivers of notifications have had of the events.",
)

WINDOW_CHANGE = Table(
    "window_change",
    LEDGER,
    big("run_id"),
    moment("at", now=True),
    number("now"),
    number("maximum"),
    words("reason"),
    gone_with(RUN, "run_id"),
    # The decisions of a run in order, and the newest ones.
    Index(None, "run_id", "at"),
    comment="What the governor decided, and when. Figures of the reason are those of the moment.",
)

POOL_SIZE = Table(
    "pool_size",
    LEDGER,
    big("run_id"),
    words("worker"),
    number("processes"),
    moment("at", now=True),
    PrimaryKeyConstraint("run_id", "worker"),
    CheckConstraint("processes > 0", name="processes"),
    gone_with(RUN, "run_id"),
    comment="How many processes an operator wants a worker to have. One that is started again begins with so many.",
)

WORKER_LOG = Table(
    "worker_log",
    LEDGER,
    big("run_id"),
    words("host"),
    words("file"),
    moment("at", now=True),
    PrimaryKeyConstraint("run_id", "host", "file"),
    gone_with(RUN, "run_id"),
    comment="Where workers that a coordinator started beside itself write their logs; each start has its own file.",
)

ROLLBACK = Table(
    "rollback",
    LEDGER,
    big("run_id"),
    words("actor"),
    words("via"),
    moment("began_at", now=True),
    moment(
        "finished_before", optional=True, comment="When the run was done; a rollback that cannot begin leaves it so."
    ),
    one_of("stage", RollbackStage, default=RollbackStage.ENDING_JOBS),
    words("subject", default=""),
    words("problem", default=""),
    moment("ended_at", optional=True),
    PrimaryKeyConstraint("run_id"),
    gone_with(RUN, "run_id"),
    comment="A run's newest rollback. With the run's row and its events it outlives the run.",
)
