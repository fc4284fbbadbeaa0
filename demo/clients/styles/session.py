"""What a style is: it opens sessions, by which a client writes and reads."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from demo.clients.tables import Key, Row, Table


@dataclass(frozen=True, kw_only=True)
class Answer:
    """touched: how many rows the statement wrote or found; rows: those that came back."""

    touched: int
    rows: Sequence[tuple[object, ...]] = ()


class Session(Protocol):
    """One connection of one client.

    Values are texts as the server prints them, both ways, however the style sends them. Errors of the server are
    psycopg.Error, whichever library stands between; a lost connection is an OperationalError and closes the session.
    """

    @property
    def is_closed(self) -> bool: ...

    def insert(self, table: Table, row: Row) -> Answer:
        """Insert the columns that the application writes; the answer has those that the database makes."""
        ...

    def update(self, table: Table, key: Key, values: Row) -> Answer:
        """Set columns of one row, also of its key."""
        ...

    def delete(self, table: Table, key: Key) -> Answer: ...

    def read(self, table: Table, key: Key) -> Answer:
        """All columns that the application knows, in their order."""
        ...

    def run(self, name: str, parameters: Sequence[str | None]) -> Answer:
        """A statement that the workload has written out, by its name."""
        ...

    def savepoint(self) -> AbstractContextManager[object]:
        """An error inside rolls back what was done inside, and continues."""
        ...

    def check_constraints(self) -> None:
        """Deferred ones too, now."""
        ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...


class Style(Protocol):
    """How a kind of client speaks: the library it uses, the names it knows, how it sends ids."""

    def open(self, url: str, *, application_name: str) -> Session:
        """Connect. Raises psycopg.OperationalError."""
        ...
