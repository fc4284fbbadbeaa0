"""The statements of a workload, by the names that a kind of client knows: those that every table needs, and those that
are written out.

A statement is written out once for all styles: `[User]` is a table and `[User.email]` a column, `<User.id>` a parameter
that has that column's type, `<>` one without a type. `[.email]` and `<.id>` are of the table that is named first.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from psycopg.sql import SQL, Composable, Composed, Placeholder

from demo.clients.names import Names
from demo.clients.tables import Table

_PLACE = re.compile(r"\[(\w*)(?:\.(\w+))?\]|<(\w*)(?:\.(\w+))?>")


class Sort(Enum):
    """What a parameter is."""

    PLAIN = "plain"
    ID = "id"
    IDS = "ids"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """`text` with %s placeholders; `sorts` has one entry for each."""

    text: bytes
    sorts: tuple[Sort, ...]


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What a kind of client knows: tables by their names in the application, what the database calls them, and the
    statements that are written out."""

    tables: Mapping[str, Table]
    names: Names
    written_out: Mapping[str, str]

    def render(self, text: str) -> Statement:
        """A statement that is written out."""
        first = next((place[1] for place in _PLACE.finditer(text) if place[1]), "")
        sorts: list[Sort] = []
        parts: list[Composable] = []
        end = 0
        for place in _PLACE.finditer(text):
            parts.append(SQL(text[end : place.start()]))
            end = place.end()
            name, column, like, of = place.groups()
            if name is not None:
                table = self.tables[name or first]
                parts.append(self.names.relation(table) if column is None else self.names.column(table, column))
            else:
                parts.append(Placeholder())
                sorts.append(_sort(self.tables[like or first], of) if of else Sort.PLAIN)
        parts.append(SQL(text[end:]))
        return Statement(text=Composed(parts).as_bytes(None), sorts=tuple(sorts))


class Statements:
    """The statements of one vocabulary, each built when it is first asked for."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._names = vocabulary.names
        self._built: dict[str, Statement] = {}

    def written_out(self, name: str) -> Statement:
        return self._once(name, lambda: self._vocabulary.render(self._vocabulary.written_out[name]))

    def insert(self, table: Table) -> Statement:
        """All columns that the application writes; gives back those that the database makes, as text."""
        return self._once(f"insert {table.name}", lambda: _statement(self._insertion(table), table, table.written))

    def update(self, table: Table, columns: Sequence[str]) -> Statement:
        """Sets these columns of one row."""
        return self._once(
            f"update {table.name} {', '.join(columns)}",
            lambda: _statement(self._change(table, columns), table, (*columns, *table.key)),
        )

    def delete(self, table: Table) -> Statement:
        def text() -> Composed:
            return SQL("DELETE FROM {} WHERE {}").format(self._names.relation(table), self._key(table))

        return self._once(f"delete {table.name}", lambda: _statement(text(), table, table.key))

    def select(self, table: Table) -> Statement:
        """All columns that the application knows of one row, as text."""

        def text() -> Composed:
            texts = self._joined(table, table.columns, "{}::text", ", ")
            return SQL("SELECT {} FROM {} WHERE {}").format(texts, self._names.relation(table), self._key(table))

        return self._once(f"select {table.name}", lambda: _statement(text(), table, table.key))

    def _once(self, name: str, build: Callable[[], Statement]) -> Statement:
        if name not in self._built:
            self._built[name] = build()
        return self._built[name]

    def _insertion(self, table: Table) -> Composed:
        values = [Placeholder()] * len(table.written) + [SQL("now()")] * len(table.stamped)
        insert = SQL("INSERT INTO {} ({}) VALUES ({})").format(
            self._names.relation(table),
            self._joined(table, (*table.written, *table.stamped), "{}", ", "),
            SQL(", ").join(values),
        )
        if not table.made:
            return insert
        return SQL("{} RETURNING {}").format(insert, self._joined(table, table.made, "{}::text", ", "))

    def _change(self, table: Table, columns: Sequence[str]) -> Composed:
        stamps = (SQL("{} = now()").format(self._names.column(table, name)) for name in table.stamped)
        return SQL("UPDATE {} SET {} WHERE {}").format(
            self._names.relation(table),
            SQL(", ").join([self._joined(table, columns, "{} = %s", ", "), *stamps]),
            self._key(table),
        )

    def _key(self, table: Table) -> Composed:
        return self._joined(table, table.key, "{} = %s", " AND ")

    def _joined(self, table: Table, columns: Sequence[str], form: str, separator: str) -> Composed:
        """The columns, each quoted and put into `form`, for instance '{} = %s'."""
        return SQL(separator).join(SQL(form).format(self._names.column(table, column)) for column in columns)


def _statement(text: Composable, table: Table, columns: Sequence[str]) -> Statement:
    """With parameters for these columns of the table."""
    return Statement(text=text.as_bytes(None), sorts=tuple(_sort(table, column) for column in columns))


def _sort(table: Table, column: str) -> Sort:
    return Sort.ID if column in table.ids else Sort.IDS if column in table.id_lists else Sort.PLAIN
