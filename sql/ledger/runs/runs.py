"""Runs, phases, steps and events in the ledger, and the ledger's own schema."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import errors
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from replank.errors import NeedsOperator, WrongUse
from replank.plan.plan import Plan
from replank.values.states import OPEN_RUNS, RunState, WindowCause, sources
from sql.access.roles import refuse_who_cannot_read
from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import ledger_upgrades, query

WAKE_UP = "replank_ledger"
"""The NOTIFY channel on which a finished job wakes the coordinator; only a hint, polling is enough."""

FIRST_WINDOW = 8
"""Jobs in flight when a run begins; the governor raises it while every signal is good."""

_UPGRADE_LOCK = 0x7265_706C_0001
"""Advisory lock: two processes must not upgrade the ledger at once."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of one plan on one database."""

    run_id: int
    plan_name: str
    plan_digest: str
    plan: Plan
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


def _run(found: dict[str, Any] | None) -> Run | None:
    if found is None:
        return None
    plan = Plan.model_validate(found["plan"])
    cause = None if found["window_cause"] is None else WindowCause(found["window_cause"])
    return Run(**{**found, "plan": plan, "state": RunState(found["state"]), "window_cause": cause})


def ledger_exists(connection: Connection) -> bool:
    """Raises MayNot where it is there, and this role may not read it."""
    found = row(connection, query("ledger.has_ledger"))
    if found is None or not found["there"]:
        return False
    if not found["readable"]:
        refuse_who_cannot_read(connection)
    return True


def ensure_ledger(connection: Connection) -> None:
    """Create the ledger or bring it up to date, one upgrade per transaction."""
    with connection.transaction():
        connection.execute(SQL("SELECT pg_advisory_xact_lock({})").format(_UPGRADE_LOCK))
        connection.execute("CREATE SCHEMA IF NOT EXISTS replank")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS replank.version"
            " (version integer PRIMARY KEY, installed_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        present = value(connection, query("ledger.ledger_version"))
        upgrades = ledger_upgrades()
        if present > max(upgrades):
            raise WrongUse(
                f"The ledger has version {present}, but this Replank knows only {max(upgrades)}. Use a newer Replank."
            )
        for version, upgrade in upgrades.items():
            if version > present:
                connection.execute(upgrade)
                connection.execute(SQL("INSERT INTO replank.version (version) VALUES ({})").format(version))


def drop_ledger(connection: Connection) -> None:
    """Remove the ledger with everything in it."""
    connection.execute("DROP SCHEMA IF EXISTS replank CASCADE")


def create_run(connection: Connection, plan: Plan, *, hold_cutover: bool) -> int:
    """Record a new run. Raises WrongUse if another one is open."""
    try:
        return int(
            value(
                connection,
                query("ledger.create_run"),
                {
                    "plan_name": plan.name,
                    "plan_digest": plan.digest(),
                    "plan": Jsonb(plan.model_dump(mode="json", by_alias=True)),
                    "hold_cutover": hold_cutover,
                    "window_now": min(FIRST_WINDOW, plan.options.max_jobs_in_flight),
                    "window_max": plan.options.max_jobs_in_flight,
                },
            )
        )
    except errors.UniqueViolation:
        raise WrongUse(
            "Another run is open on this database. See `replank status`; finish it with its own plan or "
            "`replank rollback` first."
        ) from None


def add_step(connection: Connection, run_id: int, *, phase: int, phase_name: str, step: str) -> None:
    connection.execute(query("ledger.add_phase"), {"run_id": run_id, "phase": phase, "name": phase_name})
    connection.execute(query("ledger.add_step"), {"run_id": run_id, "phase": phase, "step": step})


def finish_steps(connection: Connection, run_id: int) -> None:
    connection.execute(query("ledger.finish_steps"), {"run_id": run_id})


def open_run(connection: Connection) -> Run | None:
    """The run that is under way; None where there is none, or no ledger."""
    if not ledger_exists(connection):
        return None
    return _run(row(connection, query("ledger.open_run"), {"open_states": [str(s) for s in OPEN_RUNS]}))


def latest_run(connection: Connection) -> Run | None:
    """The newest run; None where there has never been one, or there is no ledger."""
    return _run(row(connection, query("ledger.latest_run"))) if ledger_exists(connection) else None


def done_runs(connection: Connection) -> list[Run]:
    """Runs that are done and can be rolled back, the newest first."""
    return [run for found in rows(connection, query("ledger.done_runs")) if (run := _run(found)) is not None]


def runs_with_steps_off(connection: Connection, plan_name: str) -> list[Run]:
    """Runs of plans of this name that have ended well, though steps were switched off in them."""
    found = rows(connection, query("ledger.runs_with_steps_off"), {"plan_name": plan_name})
    return [run for each in found if (run := _run(each)) is not None]


def finished_run_of(connection: Connection, plan: Plan) -> Run | None:
    return _run(row(connection, query("ledger.finished_run_of_plan"), {"plan_digest": plan.digest()}))


def find_run(connection: Connection, run_id: int) -> Run | None:
    try:
        return _run(row(connection, query("ledger.run_by_id"), {"run_id": run_id}))
    except errors.UndefinedTable:
        # The last rollback dropped the ledger while another coordinator waited to lead.
        return None


def read_run(connection: Connection, run_id: int) -> Run:
    found = find_run(connection, run_id)
    if found is None:
        raise NeedsOperator(f"Run {run_id} is not in the ledger; was it rolled back meanwhile?")
    return found


def set_run_state(connection: Connection, run_id: int, state: RunState, reason: str = "") -> bool:
    """Move the run; False where `replank.states` does not allow it from where it is."""
    moved = row(
        connection,
        query("ledger.set_run_state"),
        {
            "run_id": run_id,
            "state": str(state),
            "reason": reason,
            "finished": state not in OPEN_RUNS,
            "sources": sources(state),
        },
    )
    return moved is not None


def set_reason(connection: Connection, run_id: int, reason: str) -> bool:
    """Why a run that still runs needs the operator; empty clears it. False where it was set already."""
    return row(connection, query("ledger.set_reason"), {"run_id": run_id, "reason": reason}) is not None


def set_rollback_to(connection: Connection, run_id: int, step: str | None) -> None:
    """How far a rollback goes: `step` stays as the last one."""
    connection.execute(query("ledger.set_rollback_to"), {"run_id": run_id, "step": step})


def forget_data(connection: Connection, run_id: int) -> None:
    """The data migration was rolled back: its tables, sets, caches and jobs are as if they had never been planned."""
    connection.execute(query("ledger.forget_data"), {"run_id": run_id})


def set_plan(connection: Connection, run_id: int, plan: Plan) -> None:
    """The run continues with a corrected plan. Only its caches may be others: tables have their own rows."""
    document = Jsonb(plan.model_dump(mode="json", by_alias=True))
    connection.execute(query("ledger.set_plan"), {"run_id": run_id, "plan": document, "plan_digest": plan.digest()})


def set_hold(connection: Connection, run_id: int, *, hold_cutover: bool) -> None:
    """Whether the cutovers wait for an operator's word."""
    connection.execute(query("ledger.set_hold"), {"run_id": run_id, "hold_cutover": hold_cutover})


def set_window(
    connection: Connection, run_id: int, *, now: int, maximum: int, cause: WindowCause | None, signal: str, reason: str
) -> None:
    """What the governor decided. It is kept with its time where anything but the words is other than before."""
    decided = {"now": now, "max": maximum, "cause": cause, "signal": signal, "reason": reason}
    connection.execute(query("ledger.set_window"), {"run_id": run_id, **decided})


ALREADY = "already"
"""The kind of the events that say what of the plan was there before the run."""


def read_already(connection: Connection, run_id: int) -> list[tuple[str, str]]:
    """What of the plan was there before the run began: the object and the words."""
    found = rows(connection, query("ledger.already"), {"run_id": run_id, "kind": ALREADY})
    return [(r["subject"], r["message"]) for r in found]


def add_event(
    connection: Connection, run_id: int, *, actor: str, kind: str, subject: str = "", message: str = ""
) -> None:
    connection.execute(
        query("ledger.add_event"),
        {"run_id": run_id, "actor": actor, "kind": kind, "subject": subject, "message": message},
    )


def read_events(connection: Connection, run_id: int, *, limit: int = 50) -> list[dict[str, Any]]:
    return rows(connection, query("ledger.events"), {"run_id": run_id, "limit": limit})


def table_seconds(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """When each table entered each state, in time order: `table_no`, `state`, `at`."""
    return rows(connection, query("ledger.table_seconds"), {"run_id": run_id})
