"""What was measured, seen and said: before a run, of its gates, of its database, of the broker and the page."""

from __future__ import annotations

from typing import get_args

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Table

from replank.values.measurement import Moment
from replank.values.states import GateRecordKind, GateState
from sql.ledger.schema.columns import (
    LEDGER,
    big,
    document,
    flag,
    gone_with,
    identity,
    log_position,
    moment,
    number,
    one_of,
    words,
)
from sql.ledger.schema.run_tables import RUN

CATALOGUE_BEFORE = Table(
    "catalogue_before",
    LEDGER,
    big("run_id"),
    words("relation"),
    words("what"),
    words("name"),
    words("definition"),
    gone_with(RUN, "run_id"),
    # The whole of a run's catalogue.
    Index(None, "run_id"),
    comment="The run's relations in the catalogue when it began.",
)

MEASUREMENT = Table(
    "measurement",
    LEDGER,
    big("run_id"),
    one_of("moment", get_args(Moment)),
    document("document"),
    PrimaryKeyConstraint("run_id", "moment"),
    gone_with(RUN, "run_id"),
    comment="What was measured before the run wrote anything, and when all tables were swapped.",
)

RUN_MEASURE = Table(
    "run_measure",
    LEDGER,
    big("run_id"),
    moment("started_at", now=True),
    log_position("wal_start"),
    big("bytes_start"),
    big("bytes_peak"),
    log_position("wal_now"),
    moment("measured_at", now=True),
    PrimaryKeyConstraint("run_id"),
    gone_with(RUN, "run_id"),
    comment="What a run costs, from its data migration on: WAL of the whole server, and the size of this database.",
)

GATE_RECORD = Table(
    "gate_record",
    LEDGER,
    identity("word_id"),
    words("plan_digest"),
    words("gate"),
    one_of("kind", get_args(GateRecordKind)),
    words("actor"),
    moment("at", now=True),
    words("words", default=""),
    document("evidence", default="{}"),
    PrimaryKeyConstraint("word_id"),
    comment="Attestations and other records of a plan's gates. Rows are added, never changed.",
)

GATE = Table(
    "gate",
    LEDGER,
    words("plan_digest"),
    words("gate"),
    number("position"),
    one_of("state", get_args(GateState)),
    words("actor", default=""),
    moment("at", optional=True),
    words("reason", default=""),
    words("remedy", default=""),
    document("evidence", default="{}"),
    moment("looked_at", now=True),
    PrimaryKeyConstraint("plan_digest", "gate"),
    comment="Each gate of a plan as it was when it was checked last.",
)

GATE_BARRIER = Table(
    "gate_barrier",
    LEDGER,
    big("run_id"),
    moment("passed_at", optional=True),
    document("gates", default="[]"),
    PrimaryKeyConstraint("run_id"),
    gone_with(RUN, "run_id"),
    comment="The barrier before the data migration: what the gates said when it opened, or why it has not.",
)

BROKER_STATUS = Table(
    "broker_status",
    LEDGER,
    flag("only_one", default=True),
    moment("seen_at"),
    flag("answers"),
    moment("since"),
    words("problem", default=""),
    PrimaryKeyConstraint("only_one"),
    CheckConstraint("only_one", name="only_one"),
    comment="What the coordinator saw of the broker last, and since when it has been so: one row for the database.",
)

WRONG_LOGIN = Table(
    "wrong_login",
    LEDGER,
    flag("only_one", default=True),
    moment("since"),
    big("count"),
    big("refused"),
    moment("last_at"),
    words("name"),
    words("address"),
    PrimaryKeyConstraint("only_one"),
    CheckConstraint("only_one", name="only_one"),
    comment="Wrong logins at the run page, summed by its server: how many since it began, and the last one.",
)
