"""What PostgreSQL's SQLSTATEs mean here, and what is done: one table by which errors are told apart, never by words.

SQLSTATEs and their classes: PostgreSQL manual, appendix A. `sql.session.passing_errors` has the driver's classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg


class Remedy(StrEnum):
    """`RETRY`: the statement, with its transaction. `RECONNECT`: in a new session. `FAIL`: again would fail again."""

    RETRY = "retry"
    RECONNECT = "reconnect"
    FAIL = "fail"


class Cause(StrEnum):
    """What is in the way of the statement.

    `LOCK`: other sessions hold what it asked for. `BUSY`: so do they, and no lock is waited for. `CONCURRENT`: another
    transaction has committed between. `TIME`: it took longer than it may, or was cancelled. `MEMORY`: that of the
    machine, or the room for locks. `ENDED`: its session was ended from outside, which says nothing of it. `CONNECTION`:
    its session is lost. `SERVER`: a setting or the disk. `ROW`: some row that it meets; the others can be done without
    it. `DEFINITION`: an object or a right that is not as it was. `UNKNOWN`: it cannot be known.
    """

    LOCK = "lock"
    BUSY = "busy"
    CONCURRENT = "concurrent"
    TIME = "time"
    MEMORY = "memory"
    ENDED = "ended"
    CONNECTION = "connection"
    SERVER = "server"
    ROW = "row"
    DEFINITION = "definition"
    UNKNOWN = "unknown"


REMEDIES: Mapping[Cause, Remedy] = {
    Cause.LOCK: Remedy.RETRY,
    Cause.BUSY: Remedy.RETRY,
    Cause.CONCURRENT: Remedy.RETRY,
    Cause.TIME: Remedy.RETRY,
    Cause.MEMORY: Remedy.RETRY,
    Cause.ENDED: Remedy.RECONNECT,
    Cause.CONNECTION: Remedy.RECONNECT,
    Cause.SERVER: Remedy.FAIL,
    Cause.ROW: Remedy.FAIL,
    Cause.DEFINITION: Remedy.FAIL,
    Cause.UNKNOWN: Remedy.FAIL,
}


@dataclass(frozen=True, kw_only=True)
class SqlState:
    """One SQLSTATE, or a class of them. `name` is how the ledger and monitors call the error."""

    name: str
    cause: Cause
    smaller: bool = False
    """It may be that the statement met too many rows: half of them may do."""

    @property
    def remedy(self) -> Remedy:
        return REMEDIES[self.cause]


def _too_much(name: str, cause: Cause) -> SqlState:
    return SqlState(name=name, cause=cause, smaller=True)


def _row(name: str) -> SqlState:
    return SqlState(name=name, cause=Cause.ROW, smaller=True)


def _any(name: str, cause: Cause) -> SqlState:
    return SqlState(name=name, cause=cause)


STATES: Mapping[str, SqlState] = {
    "40001": _any("serialization", Cause.CONCURRENT),
    "40P01": _any("deadlock", Cause.LOCK),
    "55P03": _any("lock timeout", Cause.LOCK),
    "55006": _any("object in use", Cause.BUSY),
    "53300": _any("too many connections", Cause.BUSY),
    "57014": _too_much("timeout", Cause.TIME),
    "57P01": _any("shutdown", Cause.ENDED),
    "57P02": _any("crash", Cause.ENDED),
    "57P03": _any("starting up", Cause.ENDED),
    "57P04": _any("database dropped", Cause.CONNECTION),
    "57P05": _any("idle timeout", Cause.CONNECTION),
    "25P03": _any("idle timeout", Cause.CONNECTION),
    "25P04": _any("transaction timeout", Cause.CONNECTION),
    "53100": _any("disk full", Cause.SERVER),
    "53200": _too_much("out of memory", Cause.MEMORY),
    "53400": _too_much("limit of the server", Cause.SERVER),
    "22P02": _row("value does not convert"),
    "23502": _row("null where none may be"),
    "23503": _row("orphan"),
    "23505": _row("values collide"),
    "23514": _row("check violated"),
    "23P01": _row("exclusion violated"),
    "P0001": _row("refused by a trigger or function"),
    "XX001": _row("data corrupted"),
    "XX002": _row("index corrupted"),
    "42P01": _any("table is gone", Cause.DEFINITION),
    "42703": _any("column is gone", Cause.DEFINITION),
    "42501": _any("no privilege", Cause.DEFINITION),
}

CLASSES: Mapping[str, SqlState] = {
    "08": _any("connection lost", Cause.CONNECTION),
    "21": _row("more than one value"),
    "22": _row("data error"),
    "23": _row("constraint violated"),
    "38": _row("function failed"),
    "39": _row("function failed"),
    "44": _row("check option violated"),
    "54": _row("too large"),
    "P0": _row("refused by a trigger or function"),
}
"""By the first two characters: the meaning of the other states of a class."""

LOST = CLASSES["08"]
"""An OperationalError of the driver's without a SQLSTATE: there was no server to give one."""

UNKNOWN = SqlState(name="database error", cause=Cause.UNKNOWN, smaller=True)
"""An unknown error may well be one row's: a function may raise whatever it likes."""


def meaning_of(error: psycopg.Error) -> SqlState:
    """What an error of the driver's means."""
    # Not at the top: most commands say what they have to say without a connection.
    import psycopg

    state = error.sqlstate or ""
    if not state and isinstance(error, psycopg.OperationalError):
        return LOST
    return STATES.get(state) or CLASSES.get(state[:2]) or UNKNOWN


def is_connection_lost(error: psycopg.Error) -> bool:
    """Whether the session is lost, or about to be; a statement that was ended alone is none."""
    return meaning_of(error).remedy is Remedy.RECONNECT


def states_of(*causes: Cause) -> tuple[str, ...]:
    """The SQLSTATEs that stand in the table for these causes."""
    return tuple(state for state, meaning in STATES.items() if meaning.cause in causes)
