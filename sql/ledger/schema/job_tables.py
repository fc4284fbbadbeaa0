"""Jobs, the attempts that did not end well, and what was sent again."""

from __future__ import annotations

from typing import get_args

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Table, text

from replank.values.chunk import Axis
from replank.values.states import AttemptOutcome, JobKind, JobState, ResendCause
from sql.ledger.schema.columns import LEDGER, big, document, flag, gone_with, identity, moment, number, one_of, words
from sql.ledger.schema.run_tables import RUN
from sql.ledger.schema.table_tables import CACHE, RUN_TABLE

JOB = Table(
    "job",
    LEDGER,
    identity("job_id"),
    big("parent", optional=True, comment="The job whose range this one has a half of."),
    big("run_id"),
    words("step"),
    number("table_no", optional=True),
    number("cache_no", optional=True),
    one_of("kind", JobKind),
    number("generation"),
    one_of("axis", Axis, optional=True),
    document("lower", optional=True),
    document("upper", optional=True),
    document("detail", default="{}"),
    one_of("state", JobState, default=JobState.WAITING),
    number("attempt", default=0, comment="The fence: it only ever grows."),
    number("forgiven", default=0, comment="Attempts that do not count against the limit."),
    moment("not_before", now=True),
    moment("sent_at", optional=True),
    number("sends", default=0),
    words("worker", optional=True),
    number("backend_pid", optional=True),
    moment("backend_start", optional=True),
    moment("lease_until", optional=True),
    moment("started_at", optional=True),
    moment("finished_at", optional=True),
    big("rows", default=0),
    document("result", optional=True),
    words("error_class", optional=True),
    words("sqlstate", optional=True),
    words("message", optional=True),
    PrimaryKeyConstraint("job_id"),
    CheckConstraint("num_nonnulls(table_no, cache_no) = 1", name="place"),
    gone_with(RUN_TABLE, "run_id", "table_no"),
    gone_with(CACHE, "run_id", "cache_no"),
    # The barriers ask only for what is unfinished, and for what failed.
    Index("job_unfinished", "run_id", "table_no", "kind", postgresql_where=text("state IN ('waiting', 'leased')")),
    Index("job_failed", "run_id", "table_no", postgresql_where=text("state = 'failed'")),
    Index("job_left_out", "run_id", postgresql_where=text("state = 'skipped'")),
    # The halves of a job that was split.
    Index("job_halves", "parent", postgresql_where=text("parent IS NOT NULL")),
    # The rate reads the last seconds only.
    Index(
        "job_finished",
        "run_id",
        "finished_at",
        postgresql_include=["kind", "rows"],
        postgresql_where=text("state = 'done'"),
    ),
    # The dispatcher takes the oldest waiting ones, however many are done already.
    Index("job_waiting", "run_id", "job_id", postgresql_where=text("state = 'waiting'")),
    # What is in flight is as many as the window, however many wait.
    Index(
        "job_in_flight",
        "run_id",
        postgresql_where=text("state = 'leased' OR (state = 'waiting' AND sent_at IS NOT NULL)"),
    ),
    # Progress sums what is done by table and kind.
    Index("job_by_table", "run_id", "table_no", "kind", "generation", postgresql_include=["state", "rows"]),
    comment="One piece of work, for one worker.",
    postgresql_with={"fillfactor": 70},
)

JOB_ATTEMPT = Table(
    "job_attempt",
    LEDGER,
    big("job_id"),
    number("attempt"),
    big("run_id"),
    number("table_no", optional=True),
    words("worker", optional=True),
    moment("started", optional=True),
    moment("ended", now=True),
    one_of("outcome", get_args(AttemptOutcome)),
    flag("counts", comment="Against the limit of attempts."),
    words("error_class"),
    words("sqlstate"),
    words("message"),
    PrimaryKeyConstraint("job_id", "attempt"),
    gone_with(JOB, "job_id"),
    # The breaker reads a table's latest ones.
    Index(None, "run_id", "table_no", "ended"),
    comment="Attempts that did not end well. What went well at once has no row here, so the good path pays nothing.",
)

RESEND = Table(
    "resend",
    LEDGER,
    big("run_id"),
    moment("at", now=True),
    one_of("cause", ResendCause),
    number("jobs"),
    gone_with(RUN, "run_id"),
    # Those of the last seconds.
    Index(None, "run_id", "at"),
    comment="Jobs that were sent again because no worker claimed them in time: how many, and the likely cause.",
)
