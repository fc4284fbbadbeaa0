"""Statements with their parameters' types, and those that every table needs.

A client of the old style sends every parameter without a type (psycopg sends text as `unknown`), as most drivers and
ORMs do: the server takes it for what the column is, text before a conversion and uuid after it. One of the new style
sends ids as uuids, which a text column refuses.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from psycopg.sql import SQL, Composable, Composed, Placeholder

from demo.application.names import Names
from demo.application.tables import Table


class Sort(Enum):
    """What a parameter is sent as."""

    UNTYPED = "untyped"
    UUID = "uuid"
    UUIDS = "uuids"


Sent = str | uuid.UUID | list[uuid.UUID] | None


@dataclass(frozen=True, kw_only=True)
class Statement:
    """`text` with %s placeholders; `sorts` says of each what it is sent as, none: all are untyped."""

    text: bytes
    sorts: tuple[Sort, ...] = ()

    def sent(self, values: Sequence[str | None]) -> list[Sent]:
        """The parameters as the driver gets them."""
        if not self.sorts:
            return list(values)
        return [_sent(sort, value) for sort, value in zip(self.sorts, values, strict=True)]


def _sent(sort: Sort, value: str | None) -> Sent:
    if value is None or sort is Sort.UNTYPED:
        return value
    if sort is Sort.UUID:
        return uuid.UUID(value)
    return [uuid.UUID(one) for one in value.strip("{}").split(",") if one]


def update_name(table: str, columns: Sequence[str]) -> str:
    """The name of the statement that sets these columns of one row of the table."""
    return f"update {table} {', '.join(columns)}"


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a kind of client speaks: the names it uses, and whether it knows that ids are uuids."""

    names: Names
    typed: bool = False

    def statement(self, text: Composable, table: Table, columns: Sequence[str]) -> Statement:
        """With parameters for these columns of the table."""
        sorts = tuple(self.sort(table, column) for column in columns) if self.typed else ()
        return Statement(text=text.as_bytes(None), sorts=sorts)

    def sort(self, table: Table, column: str) -> Sort:
        if not self.typed:
            return Sort.UNTYPED
        return Sort.UUID if column in table.ids else Sort.UUIDS if column in table.id_lists else Sort.UNTYPED

    def each(self, table: Table) -> Iterator[tuple[str, Statement]]:
        """Insert all columns, delete by key, select by key: each with its name."""
        name = self.names.relation(table)
        key = self._joined(table, table.key, "{} = %s", " AND ")
        yield f"insert {table.name}", self.statement(self.insertion(table), table, table.written)
        delete = SQL("DELETE FROM {} WHERE {}").format(name, key)
        yield f"delete {table.name}", self.statement(delete, table, table.key)
        texts = self._joined(table, table.columns, "{}::text", ", ")
        select = SQL("SELECT {} FROM {} WHERE {}").format(texts, name, key)
        yield f"select {table.name}", self.statement(select, table, table.key)

    def insertion(self, table: Table) -> Composed:
        """INSERT of all columns that the application writes; gives back those that the database makes, as text."""
        values = [Placeholder()] * len(table.written) + [SQL("now()")] * len(table.stamped)
        insert = SQL("INSERT INTO {} ({}) VALUES ({})").format(
            self.names.relation(table),
            self._joined(table, (*table.written, *table.stamped), "{}", ", "),
            SQL(", ").join(values),
        )
        if not table.made:
            return insert
        return SQL("{} RETURNING {}").format(insert, self._joined(table, table.made, "{}::text", ", "))

    def update(self, table: Table, columns: Sequence[str]) -> tuple[str, Statement]:
        """Sets these columns of one row; with its name."""
        text = SQL("UPDATE {} SET {} WHERE {}").format(
            self.names.relation(table),
            SQL(", ").join(
                [
                    self._joined(table, columns, "{} = %s", ", "),
                    *(SQL("{} = now()").format(self.names.column(table, name)) for name in table.stamped),
                ]
            ),
            self._joined(table, table.key, "{} = %s", " AND "),
        )
        return update_name(table.name, columns), self.statement(text, table, (*columns, *table.key))

    def _joined(self, table: Table, columns: Sequence[str], form: str, separator: str) -> Composed:
        """The columns, each quoted and put into `form`, for instance '{} = %s'."""
        return SQL(separator).join(SQL(form).format(self.names.column(table, column)) for column in columns)
