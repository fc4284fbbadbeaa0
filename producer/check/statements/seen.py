"""Statements that the server has seen, from pg_stat_statements."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import errors
from psycopg.sql import Identifier

from replank.wording import counted
from sql.checks.sampling import OWN_STATEMENT
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query

STATEMENTS = 10_000
UNREADABLE = (errors.ObjectNotInPrerequisiteState, errors.InsufficientPrivilege)
SECONDS_A_DAY = 86_400.0
SHORTEST_S = 3_600.0
"""Calls of less time than this say nothing of a day."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A statement, its constants replaced by `$1` and so on. `seconds`: for how long its calls have been counted."""

    query: str
    calls: int
    seconds: float

    @property
    def calls_per_day(self) -> int | None:
        """None where it was counted for less than an hour."""
        if self.seconds < SHORTEST_S:
            return None
        return max(1, round(self.calls * SECONDS_A_DAY / self.seconds))

    @property
    def called(self) -> str:
        """For people."""
        daily = self.calls_per_day
        if daily is None:
            return f"called {counted(self.calls, 'time')} in {counted(max(1, round(self.seconds / 60)), 'minute')}"
        return f"called {counted(self.calls, 'time')}, about {counted(daily, 'time')} a day"


@dataclass(frozen=True, kw_only=True)
class AllSeen:
    """`hidden` of the `known` entries are other roles', whose text may not be read."""

    statements: tuple[Seen, ...] = ()
    hidden: int = 0
    known: int = 0


def seen_statements(connection: Connection) -> tuple[Seen, ...]:
    """The statements of this database, the most called ones first; nothing where they may not be read."""
    try:
        return read_statements(connection).statements
    except UNREADABLE:
        return ()


def read_statements(connection: Connection) -> AllSeen:
    """The same; nothing where the extension is not installed. Raises UNREADABLE where it may not be read."""
    extension = row(connection, query("audit.statements_schema"))
    if extension is None:
        return AllSeen()
    view = Identifier(extension["schema"], "pg_stat_statements")
    with connection.transaction():
        since = None
        if extension["has_info"]:
            info = Identifier(extension["schema"], "pg_stat_statements_info")
            reset = row(connection, query("audit.statements_reset").format(info=info))
            since = reset["since"] if reset is not None else None
        listed = rows(connection, query("audit.statements").format(view=view, limit=STATEMENTS), {"since": since})
        counts = row(connection, query("audit.statements_hidden").format(view=view)) or {"hidden": 0, "known": 0}
    return AllSeen(
        statements=tuple(
            Seen(query=one["query"], calls=one["calls"], seconds=one["seconds"] or 0.0)
            for one in listed
            if one["query"] is not None and not one["query"].endswith(OWN_STATEMENT)
        ),
        hidden=counts["hidden"],
        known=counts["known"],
    )
