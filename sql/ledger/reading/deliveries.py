"""What receivers of notifications have had of a run's events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import errors

from sql.session.connection import Connection, rows, value
from sql.session.named_queries import query

State = Literal["trying", "delivered", "given_up"]

STATES: tuple[State, ...] = ("trying", "delivered", "given_up")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the run's log."""

    event_id: int
    run_id: int
    at: datetime
    actor: str
    kind: str
    subject: str
    message: str
    plan_name: str


def try_to_follow(connection: Connection, receiver: str) -> bool:
    """Whether this session is the one that delivers to the receiver, from now until it ends."""
    return bool(value(connection, query("deliveries.try_to_follow"), {"receiver": receiver}))


def pending(connection: Connection, run_id: int, *, receiver: str, kinds: Sequence[str]) -> list[Event] | None:
    """Events that the receiver has not had, oldest first; None where the ledger is gone."""
    named = {"run_id": run_id, "receiver": receiver, "kinds": list(kinds)}
    try:
        return [Event(**found) for found in rows(connection, query("deliveries.pending"), named)]
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return None


def keep(
    connection: Connection, event: Event, *, receiver: str, state: State, attempts: int, problem: str = ""
) -> None:
    """Nothing where a rollback has taken the event away meanwhile."""
    values = {"event_id": event.event_id, "receiver": receiver, "state": state}
    try:
        connection.execute(query("deliveries.keep"), {**values, "attempts": attempts, "problem": problem})
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return


def count_by_state(connection: Connection, run_id: int) -> dict[str, int]:
    """Deliveries of a run by state, all receivers together."""
    found = rows(connection, query("deliveries.counts"), {"run_id": run_id})
    return {**dict.fromkeys(STATES, 0), **{each["state"]: each["n"] for each in found}}
