"""What every way of converting a column says in SQL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from psycopg.sql import SQL, Composable

from replank.values.table_spec import ColumnSpec
from sql.session.table_names import server_text


@dataclass(frozen=True, kw_only=True)
class Conversion(ABC):
    """How a value of one converted column becomes the next one, and how it comes back.

    `live` and `new` are SQL for one value of the live and of the next type; they are evaluated as often as they are
    written. NULL stays NULL everywhere. What the plan wants of values that do not convert (`on_invalid`) is said
    around a conversion, in `sql.values.conversion`.
    """

    column: ColumnSpec
    version: int
    """The server's `server_version_num`."""

    @abstractmethod
    def forward(self, live: Composable) -> Composable:
        """The next value. An error of the server where the live one does not convert: never another value."""

    @abstractmethod
    def convertible(self, live: Composable) -> Composable:
        """Whether a live value converts; NULL for NULL. Never an error, whatever the value. Needs no next type."""

    @abstractmethod
    def backward_text(self, new: Composable) -> Composable:
        """The text of the live value that a next one comes back as by itself, as a cast of that one to text writes it.

        What is assigned to a column of texts, so that one that is too long is an error and is never cut.
        """

    def backward(self, new: Composable) -> Composable:
        """The same as a value of the live type."""
        return SQL("{}::{}").format(self.backward_text(new), server_text(self.column.live_type))

    @abstractmethod
    def differs(self, live: Composable) -> Composable:
        """Whether a live value, which converts, comes back by itself as one that has another text."""

    def candidates(self, new: Composable) -> Composable:
        """A query with one column `t` of the live type: all values that may have become this one, but for a map's.

        What is found is converted again, so more do no harm.
        """
        return SQL("SELECT {} AS t").format(self.backward(new))

    def comparable(self, live: Composable) -> Composable:
        """A live value, which converts, so that it equals another where both become the same. Needs no next type."""
        return self.forward(live)

    @property
    def bad(self) -> str:
        """What a value is that does not convert: `not a uuid`."""
        return f"not a value of {self.column.next_type}"
