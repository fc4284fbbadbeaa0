"""What happened to a run, by whom and when; and the times of its steps and tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or

from replank.values.states import TableState
from sql.ledger.schema.run_tables import EVENT, PHASE, STEP
from sql.ledger.schema.table_tables import TABLE_HISTORY
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given

WAKE_UP = "replank_ledger"
"""The NOTIFY channel on which a finished job wakes the coordinator; only a hint, polling is enough."""

ALREADY = "already"
"""The kind of the events that say what of the plan was there before the run."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a run. `subject` is the object it happened to, empty where it is the whole run."""

    event_id: int
    run_id: int
    at: datetime
    actor: str
    kind: str
    subject: str
    message: str


@dataclass(frozen=True, kw_only=True)
class TableMoved:
    """When a table entered a state."""

    table_no: int
    state: TableState
    at: datetime


@dataclass(frozen=True, kw_only=True)
class _Said:
    subject: str
    message: str


_ADD = Command(
    insert(EVENT).values(
        run_id=given("run_id"),
        actor=given("actor"),
        kind=given("kind"),
        subject=given("subject"),
        message=given("message"),
    )
)
_LATEST = select(EVENT).where(EVENT.c.run_id == given("run_id")).order_by(EVENT.c.event_id.desc()).limit(given("limit"))
_NEWEST = _LATEST.subquery("newest")
_EVENTS = Query(select(_NEWEST).order_by(_NEWEST.c.event_id), Event)
_OF_KIND = Query(
    select(EVENT.c.subject, EVENT.c.message)
    .where(EVENT.c.run_id == given("run_id"), EVENT.c.kind == given("kind"))
    .order_by(EVENT.c.event_id),
    _Said,
)
_MOVES = Query(
    select(TABLE_HISTORY.c.table_no, TABLE_HISTORY.c.state, TABLE_HISTORY.c.at)
    .where(TABLE_HISTORY.c.run_id == given("run_id"))
    .order_by(TABLE_HISTORY.c.at, TABLE_HISTORY.c.table_no),
    TableMoved,
)
_PHASE = insert_or(PHASE).values(
    run_id=given("run_id"), phase=given("phase"), name=given("name"), started_at=func.clock_timestamp()
)
_ADD_PHASE = Command(
    _PHASE.on_conflict_do_update(
        index_elements=["run_id", "phase"],
        set_={"started_at": func.coalesce(PHASE.c.started_at, _PHASE.excluded.started_at)},
    )
)
_ADD_STEP = Command(
    insert(STEP).values(
        run_id=given("run_id"), step=given("step"), phase=given("phase"), started_at=func.clock_timestamp()
    )
)
_FINISH_STEPS = Command("ledger.finish_steps")


def add_event(
    connection: Connection, run_id: int, *, actor: str, kind: str, subject: str = "", message: str = ""
) -> None:
    _ADD(connection, run_id=run_id, actor=actor, kind=kind, subject=subject, message=message)


def read_events(connection: Connection, run_id: int, *, limit: int = 50) -> list[Event]:
    """The newest ones, oldest first."""
    return _EVENTS.all(connection, run_id=run_id, limit=limit)


def read_already(connection: Connection, run_id: int) -> list[tuple[str, str]]:
    """What of the plan was there before the run began: the object and the words."""
    return [(said.subject, said.message) for said in _OF_KIND.all(connection, run_id=run_id, kind=ALREADY)]


def table_moves(connection: Connection, run_id: int) -> list[TableMoved]:
    """When each table entered each state, in time order."""
    return _MOVES.all(connection, run_id=run_id)


def add_step(connection: Connection, run_id: int, *, phase: int, phase_name: str, step: str) -> None:
    """A step begins, and its phase with it; caches may have made the phase before."""
    _ADD_PHASE(connection, run_id=run_id, phase=phase, name=phase_name)
    _ADD_STEP(connection, run_id=run_id, step=step, phase=phase)


def finish_steps(connection: Connection, run_id: int) -> None:
    """Close every step and phase that has begun."""
    _FINISH_STEPS(connection, run_id=run_id)
