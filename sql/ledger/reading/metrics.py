"""What a scrape reads of a run's ledger: a fixed number of statements, however many jobs there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.sql import Identifier, Literal
from sqlalchemy import ColumnElement, ScalarSelect, func, select

from replank.values.states import JobKind, JobState
from replank.values.table_spec import TableSpec
from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.run_tables import EVENT, RUN, WINDOW_CHANGE
from sql.ledger.schema.table_tables import TABLE_HISTORY
from sql.session.connection import Connection, value
from sql.session.named_queries import query
from sql.session.typed_queries import Query, given

MOST_COUNTED = 100_000
"""Rows of a change log are counted no further: above that its bytes say enough."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Jobs of one kind, state and table. `bucket` is the place of their seconds among the bounds, if they are done."""

    kind: JobKind
    state: JobState
    table_no: int | None
    bucket: int | None
    jobs: int
    rows: int
    retries: int
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """When the run moved last, by the server's clock `now`; since when its oldest job has been under way; `sent` jobs
    have a message and no worker yet."""

    moved_at: datetime
    oldest_lease: datetime | None
    sent: int
    window_changed_at: datetime | None
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Written:
    """What the whole server has written to its WAL since the run's data migration began, and how much the database
    had grown at most."""

    wal_bytes: float
    added_bytes: float


@dataclass(frozen=True, kw_only=True)
class Log:
    """A change log: `rows` counted up to `MOST_COUNTED`, `bytes` of its heap (deleted rows included)."""

    table: str
    rows: int
    bytes: float


@dataclass(frozen=True, kw_only=True)
class _Events:
    kind: str
    events: int


@dataclass(frozen=True, kw_only=True)
class _LogLength:
    name: str
    log: str
    bytes: float


@dataclass(frozen=True, kw_only=True)
class _NextSize:
    """`tree` is that of its partitions, None where it has none."""

    name: str
    tree: float | None
    plain: float


def _of_run(found: ColumnElement[Any], run_id: ColumnElement[Any], *where: ColumnElement[bool]) -> ScalarSelect[Any]:
    return select(found).where(run_id == given("run_id"), *where).scalar_subquery()


_WORK = Query("metrics.work", Work)
_PULSE = Query(
    select(
        func.greatest(
            _of_run(func.max(JOB.c.finished_at), JOB.c.run_id, JOB.c.state == JobState.DONE),
            _of_run(func.max(TABLE_HISTORY.c.at), TABLE_HISTORY.c.run_id),
            _of_run(func.max(EVENT.c.at), EVENT.c.run_id),
            _of_run(RUN.c.created_at, RUN.c.run_id),
        ).label("moved_at"),
        _of_run(func.min(JOB.c.started_at), JOB.c.run_id, JOB.c.state == JobState.LEASED).label("oldest_lease"),
        _of_run(func.count(), JOB.c.run_id, JOB.c.state == JobState.WAITING, JOB.c.sent_at.is_not(None)).label("sent"),
        _of_run(func.max(WINDOW_CHANGE.c.at), WINDOW_CHANGE.c.run_id).label("window_changed_at"),
        func.clock_timestamp().label("now"),
    ),
    Pulse,
)
_WORKER_SESSIONS = Query("metrics.worker_sessions", int)
_WRITTEN = Query("metrics.wal", Written)
_EVENTS = Query(
    select(EVENT.c.kind, func.count().label("events")).where(EVENT.c.run_id == given("run_id")).group_by(EVENT.c.kind),
    _Events,
)
_LOG_LENGTHS = Query("metrics.log_lengths", _LogLength)
_NEXT_SIZES = Query("metrics.next_sizes", _NextSize)


def read_work(connection: Connection, run_id: int, *, bounds: Sequence[float]) -> list[Work]:
    """Every job of a run, counted in one pass; `bounds` are the upper ends of the buckets of seconds."""
    return _WORK.all(connection, run_id=run_id, bounds=list(bounds))


def read_pulse(connection: Connection, run_id: int) -> Pulse:
    return _PULSE.only(connection, run_id=run_id)


def worker_sessions(connection: Connection) -> int:
    """How many worker processes are connected to this database."""
    return _WORKER_SESSIONS.only(connection)


def written(connection: Connection, run_id: int) -> Written | None:
    """None before the data migration."""
    return _WRITTEN.first(connection, run_id=run_id)


def count_events(connection: Connection, run_id: int) -> dict[str, int]:
    """How often each kind of event was written."""
    return {found.kind: found.events for found in _EVENTS.all(connection, run_id=run_id)}


def read_logs(connection: Connection, logs: Mapping[str, str]) -> list[Log]:
    """Logs of tables, by the tables' names; `logs` gives each log's name in schema replank."""
    return [
        Log(table=found.name, rows=_rows_of(connection, found.log), bytes=found.bytes)
        for found in _LOG_LENGTHS.all(connection, names=list(logs), logs=list(logs.values()))
    ]


def _rows_of(connection: Connection, log: str) -> int:
    counted = query("metrics.log_rows").format(log=Identifier("replank", log), most=Literal(MOST_COUNTED))
    return int(value(connection, counted))


def next_bytes(connection: Connection, specs: Sequence[TableSpec]) -> dict[str, float]:
    """Bytes of the next tables that are being built, by the tables' names."""
    nexts = [Identifier(spec.next_schema, spec.name).as_string(connection) for spec in specs]
    found = _NEXT_SIZES.all(connection, names=[spec.full_name for spec in specs], nexts=nexts)
    return {each.name: each.tree or each.plain for each in found}
