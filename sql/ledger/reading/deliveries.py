"""What receivers of notifications have had of a run's events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from psycopg import errors
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from replank.values.states import DeliveryState
from sql.ledger.runs import events
from sql.ledger.schema.run_tables import DELIVERY, EVENT, RUN
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, among, given


@dataclass(frozen=True, kw_only=True)
class Event(events.Event):
    """An event as a receiver is told it: with the plan's name."""

    plan_name: str


@dataclass(frozen=True, kw_only=True)
class _Counted:
    state: DeliveryState
    deliveries: int


_TRY_TO_FOLLOW = Query("deliveries.try_to_follow", bool)
_HAD = (
    select()
    .select_from(DELIVERY)
    .where(
        DELIVERY.c.event_id == EVENT.c.event_id,
        DELIVERY.c.receiver == given("receiver"),
        DELIVERY.c.state != "trying",
    )
    .exists()
)
# No order of event ids is relied on: what commits late is found late.
_PENDING = Query(
    select(EVENT, RUN.c.plan_name)
    .join(RUN, RUN.c.run_id == EVENT.c.run_id)
    .where(EVENT.c.run_id == given("run_id"), among(EVENT.c.kind, "kinds"), ~_HAD)
    .order_by(EVENT.c.event_id),
    Event,
)
_NEWEST = insert(DELIVERY).from_select(
    ["event_id", "receiver", "state", "attempts", "problem"],
    select(
        EVENT.c.event_id,
        given("receiver", DELIVERY.c.receiver.type),
        given("state", DELIVERY.c.state.type),
        given("attempts", DELIVERY.c.attempts.type),
        given("problem", DELIVERY.c.problem.type),
    ).where(EVENT.c.event_id == given("event_id")),
)
_KEEP = Command(
    _NEWEST.on_conflict_do_update(
        index_elements=["event_id", "receiver"],
        set_={
            "state": _NEWEST.excluded.state,
            "attempts": _NEWEST.excluded.attempts,
            "problem": _NEWEST.excluded.problem,
            "at": func.clock_timestamp(),
        },
    )
)
_COUNTS = Query(
    select(DELIVERY.c.state, func.count().label("deliveries"))
    .join(EVENT, EVENT.c.event_id == DELIVERY.c.event_id)
    .where(EVENT.c.run_id == given("run_id"))
    .group_by(DELIVERY.c.state),
    _Counted,
)


def try_to_follow(connection: Connection, receiver: str) -> bool:
    """Whether this session is the one that delivers to the receiver, from now until it ends."""
    return _TRY_TO_FOLLOW.only(connection, receiver=receiver)


def pending(connection: Connection, run_id: int, *, receiver: str, kinds: Sequence[str]) -> list[Event] | None:
    """Events that the receiver has not had, oldest first; None where the ledger is gone."""
    try:
        return _PENDING.all(connection, run_id=run_id, receiver=receiver, kinds=list(kinds))
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return None


def keep(
    connection: Connection, event: Event, *, receiver: str, state: DeliveryState, attempts: int, problem: str = ""
) -> None:
    """Nothing where a rollback has taken the event away meanwhile."""
    try:
        _KEEP(
            connection,
            event_id=event.event_id,
            receiver=receiver,
            state=state,
            attempts=attempts,
            problem=problem,
        )
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return


def count_by_state(connection: Connection, run_id: int) -> dict[DeliveryState, int]:
    """Deliveries of a run by state, all receivers together; every state, 0 where there are none."""
    found = {each.state: each.deliveries for each in _COUNTS.all(connection, run_id=run_id)}
    return {state: found.get(state, 0) for state in get_args(DeliveryState)}
