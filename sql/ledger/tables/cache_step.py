"""The step that a run's caches are rebuilt in: behind the tables, in the same phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import and_, select, update
from sqlalchemy.dialects.postgresql import JSONB

from replank.values.steps import DATA_PHASE, PHASES
from sql.ledger.schema.run_tables import STEP as STEPS
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given

STEP = "10-rebuild-caches"

_THIS = and_(STEPS.c.run_id == given("run_id"), STEPS.c.step == given("step"))
_PLAN = Command("caches.plan_step")
_START = Command("caches.start_step")
_MEASURE = Command(update(STEPS).where(_THIS).values(measured=STEPS.c.measured.op("||")(given("more", JSONB))))
_MEASURED = Query(select(STEPS.c.measured).where(_THIS), dict[str, Any])


def plan(connection: Connection, run_id: int, measured: Mapping[str, Any]) -> None:
    """It begins later; `measured` is how well the tables are hit now."""
    phase = {"phase": DATA_PHASE, "name": PHASES[DATA_PHASE]}
    _PLAN(connection, run_id=run_id, step=STEP, **phase, measured=Jsonb(dict(measured)))


def start(connection: Connection, run_id: int) -> None:
    """The barrier before the caches has opened; nothing where that was said before."""
    _START(connection, run_id=run_id, step=STEP)


def measure(connection: Connection, run_id: int, measured: Mapping[str, Any]) -> None:
    """Add what was measured when it had ended."""
    _MEASURE(connection, run_id=run_id, step=STEP, more=Jsonb(dict(measured)))


def measured(connection: Connection, run_id: int) -> Mapping[str, Any]:
    """`before` and `after` of the swapped tables, as far as they were measured."""
    return _MEASURED.first(connection, run_id=run_id, step=STEP) or {}
