"""One transaction of one client: every statement goes to the server and to the client's model."""

import random
from collections.abc import Mapping, Sequence

import psycopg

from demo.application.model import Key, Model, Row
from demo.application.statement import Statement, update_name


class Surprise(Exception):
    """The database answered without an error, but not as the application's own writes demand."""


class Transaction:
    """Runs statements and remembers in the model what they must have done.

    statement: the name of the last one, for messages. Errors of the server pass through as
    psycopg.Error; a wrong number of rows, wrong content, or an accepted violation raise Surprise.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        model: Model,
        statements: Mapping[str, Statement],
        rng: random.Random,
    ) -> None:
        self.model = model
        self.rng = rng
        self.statement = "BEGIN"
        self._statements = statements
        self._cursor = connection.cursor()

    def run(self, name: str, parameters: Sequence[str | None], *, rows: int) -> None:
        """Run a statement that must touch exactly `rows` rows."""
        self._execute(name, parameters)
        if self._cursor.rowcount != rows:
            raise Surprise(f"touched {self._cursor.rowcount} rows, not {rows}")

    def fetch(self, name: str, parameters: Sequence[str | None]) -> list[tuple[object, ...]]:
        """Run a statement and return its rows."""
        self._execute(name, parameters)
        return self._cursor.fetchall()

    def insert(self, table: str, row: Row) -> Key:
        """Insert a row with all the columns the application writes."""
        shape = self.model.tables[table]
        self.run(f"insert {table}", [row[column] for column in shape.written], rows=1)
        if shape.made:
            (made,) = self._cursor.fetchall()
            row = {**row, **dict(zip(shape.made, made, strict=True))}
        return self.model.put(table, row)

    def update(self, table: str, key: Key, **values: str | None) -> None:
        """Set columns of an own row, the key's columns too."""
        self.run(update_name(table, tuple(values)), [*values.values(), *key], rows=1)
        self.model.update(table, key, **values)

    def delete(self, table: str, key: Key) -> None:
        """Delete an own row, and with it what hangs on it."""
        self.run(f"delete {table}", key, rows=1)
        self.model.delete(table, key)

    def read_back(self, table: str, key: Key) -> None:
        """Read an own row: it must be as it was last written."""
        expected = self.model.rows[table][key]
        found = self.fetch(f"select {table}", key)
        if len(found) != 1:
            raise Surprise(f"{table} {key} is there {len(found)} times")
        shape = self.model.tables[table]
        read = dict(zip(shape.columns, map(_text, found[0]), strict=True))
        wrong = [column for column, value in read.items() if not shape.same(column, value, expected[column])]
        if wrong:
            raise Surprise(f"{table} {key} has other values in {', '.join(wrong)}")

    def refused(self, name: str, parameters: Sequence[str | None], sqlstate: str) -> None:
        """Run a statement that a constraint must refuse, with this SQLSTATE; nothing remains of it."""
        try:
            with self._cursor.connection.transaction():
                self._execute(name, parameters)
                # A deferred constraint would speak up at COMMIT only.
                self._cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.errors.IntegrityError as error:
            if error.sqlstate != sqlstate:
                raise
        else:
            raise Surprise(f"accepted what must be refused with {sqlstate}")

    def _execute(self, name: str, parameters: Sequence[str | None]) -> None:
        self.statement = name
        statement = self._statements[name]
        self._cursor.execute(statement.text, statement.sent(parameters))


def _text(value: object) -> str | None:
    """What a `::text` column gives."""
    return None if value is None else str(value)
