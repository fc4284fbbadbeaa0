"""Runs in the ledger: begun, found, moved, and how they cut over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from psycopg import errors
from psycopg.types.json import Jsonb
from sqlalchemy import Boolean, case, func, insert, select, update

from replank import __version__
from replank.errors import NeedsOperator, WrongUse
from replank.plan.plan import Plan
from replank.values.states import OPEN_RUNS, RunState, WindowCause, sources
from sql.ledger.schema.run_tables import RUN
from sql.ledger.schema.views import RUN_IN_FORCE
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Document, Query, among, given

FIRST_WINDOW = 8
"""Jobs in flight when a run begins; the governor raises it while every signal is good."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of one plan on one database."""

    run_id: int
    plan_name: str
    plan_digest: str
    plan: Annotated[Plan, Document(Plan.model_validate)]
    state: RunState
    reason: str
    rollback_to: str | None
    paused: bool
    hold_cutover: bool
    window_now: int
    window_max: int
    window_limit: int | None
    window_cause: WindowCause | None
    window_signal: str
    """The signal that `window_cause` speaks of; empty where it speaks of none."""
    window_reason: str
    created_at: datetime
    finished_at: datetime | None
    begun_by: str = ""
    """The version of Replank that began it; empty of runs that are older than this column."""


_ENDED_WELL = (RunState.DONE, RunState.FINISHED)
_RUNS = select(RUN_IN_FORCE)
_NEWEST = _RUNS.order_by(RUN_IN_FORCE.c.run_id.desc()).limit(1)
_OPEN = Query(_NEWEST.where(RUN_IN_FORCE.c.state.in_(OPEN_RUNS)), Run)
_LATEST = Query(_NEWEST, Run)
_BY_ID = Query(_RUNS.where(RUN_IN_FORCE.c.run_id == given("run_id")), Run)
_OF_PLAN = Query(
    _NEWEST.where(RUN_IN_FORCE.c.plan_digest == given("plan_digest"), RUN_IN_FORCE.c.state.in_(_ENDED_WELL)), Run
)
_DONE = Query(_RUNS.where(RUN_IN_FORCE.c.state == RunState.DONE).order_by(RUN_IN_FORCE.c.run_id.desc()), Run)
_STEPS_OFF = Query(
    _RUNS.where(
        RUN_IN_FORCE.c.plan_name == given("plan_name"),
        RUN_IN_FORCE.c.state.in_(_ENDED_WELL),
        func.jsonb_array_length(RUN_IN_FORCE.c.plan[("steps", "off")]) > 0,
    ).order_by(RUN_IN_FORCE.c.run_id),
    Run,
)

_OF_RUN = RUN.c.run_id == given("run_id")
_CREATE = Query(
    insert(RUN)
    .values(
        plan_name=given("plan_name"),
        plan_digest=given("plan_digest"),
        plan=given("plan"),
        hold_cutover=given("hold_cutover"),
        window_now=given("window_now"),
        window_max=given("window_max"),
        begun_by=__version__,
    )
    .returning(RUN.c.run_id),
    int,
)
_MOVE = Command(
    update(RUN)
    .where(_OF_RUN, among(RUN.c.state, "sources"))
    .values(
        state=given("state"),
        reason=given("reason"),
        finished_at=case((given("finished", Boolean), func.clock_timestamp())),
    )
)
_SET_REASON = Command(
    update(RUN)
    .where(_OF_RUN, RUN.c.state == RunState.RUNNING, RUN.c.reason != given("reason"))
    .values(reason=given("reason"))
)
_SET_ROLLBACK_TO = Command(update(RUN).where(_OF_RUN).values(rollback_to=given("step")))
_SET_PLAN = Command(update(RUN).where(_OF_RUN).values(plan=given("plan"), plan_digest=given("plan_digest")))
_SET_HOLD = Command(update(RUN).where(_OF_RUN).values(hold_cutover=given("hold_cutover")))
_SET_WINDOW = Command("ledger.set_window")
_FORGET_DATA = Command("ledger.forget_data")


def create_run(connection: Connection, plan: Plan, *, hold_cutover: bool) -> int:
    """Record a new run. Raises WrongUse if another one is open: the ledger keeps one for a database."""
    try:
        return _CREATE.only(
            connection,
            plan_name=plan.name,
            plan_digest=plan.digest(),
            plan=_document(plan),
            hold_cutover=hold_cutover,
            window_now=min(FIRST_WINDOW, plan.options.max_jobs_in_flight),
            window_max=plan.options.max_jobs_in_flight,
        )
    except errors.UniqueViolation:
        raise WrongUse(
            "Another run is open on this database. See `replank status`; finish it with its own plan or "
            "`replank rollback` first."
        ) from None


def _document(plan: Plan) -> Jsonb:
    return Jsonb(plan.model_dump(mode="json", by_alias=True))


def open_run(connection: Connection) -> Run | None:
    """The run that is under way; None where there is none, or no ledger."""
    return _OPEN.first(connection) if ledger_exists(connection) else None


def latest_run(connection: Connection) -> Run | None:
    """The newest run; None where there has never been one, or there is no ledger."""
    return _LATEST.first(connection) if ledger_exists(connection) else None


def done_runs(connection: Connection) -> list[Run]:
    """Runs that are done and can be rolled back, the newest first."""
    return _DONE.all(connection)


def runs_with_steps_off(connection: Connection, plan_name: str) -> list[Run]:
    """Runs of plans of this name that have ended well, though steps were switched off in them."""
    return _STEPS_OFF.all(connection, plan_name=plan_name)


def finished_run_of(connection: Connection, plan: Plan) -> Run | None:
    return _OF_PLAN.first(connection, plan_digest=plan.digest())


def find_run(connection: Connection, run_id: int) -> Run | None:
    try:
        return _BY_ID.first(connection, run_id=run_id)
    except errors.UndefinedTable:
        # The last rollback dropped the ledger while another coordinator waited to lead.
        return None


def read_run(connection: Connection, run_id: int) -> Run:
    found = find_run(connection, run_id)
    if found is None:
        raise NeedsOperator(f"Run {run_id} is not in the ledger; was it rolled back meanwhile?")
    return found


def set_run_state(connection: Connection, run_id: int, state: RunState, reason: str = "") -> bool:
    """Move the run; False where `replank.values.states` does not allow it from where it is."""
    finished = state not in OPEN_RUNS
    moved = _MOVE(connection, run_id=run_id, state=state, reason=reason, finished=finished, sources=sources(state))
    return moved > 0


def set_reason(connection: Connection, run_id: int, reason: str) -> bool:
    """Why a run that still runs needs the operator; empty clears it. False where it was set already."""
    return _SET_REASON(connection, run_id=run_id, reason=reason) > 0


def set_rollback_to(connection: Connection, run_id: int, step: str | None) -> None:
    """How far a rollback goes: `step` stays as the last one; None where it leaves none."""
    _SET_ROLLBACK_TO(connection, run_id=run_id, step=step)


def forget_data(connection: Connection, run_id: int) -> None:
    """The data migration was rolled back: its tables, sets, caches and jobs are as if they had never been planned."""
    _FORGET_DATA(connection, run_id=run_id)


def set_plan(connection: Connection, run_id: int, plan: Plan) -> None:
    """The run continues with a corrected plan. Only its caches may be others: tables have their own rows."""
    _SET_PLAN(connection, run_id=run_id, plan=_document(plan), plan_digest=plan.digest())


def set_hold(connection: Connection, run_id: int, *, hold_cutover: bool) -> None:
    """Whether the cutovers wait for an operator's word."""
    _SET_HOLD(connection, run_id=run_id, hold_cutover=hold_cutover)


def set_window(
    connection: Connection, run_id: int, *, now: int, maximum: int, cause: WindowCause | None, signal: str, reason: str
) -> None:
    """What the governor decided. It is kept with its time where anything but the words is other than before."""
    _SET_WINDOW(connection, run_id=run_id, now=now, max=maximum, cause=cause, signal=signal, reason=reason)
