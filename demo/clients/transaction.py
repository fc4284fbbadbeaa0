"""One transaction of one client: every statement goes to the server and to the client's model."""

from collections.abc import Sequence

import psycopg

from demo.clients.model import Model
from demo.clients.styles.session import Answer, Session
from demo.clients.tables import Key, Row


class Surprise(Exception):
    """The database answered without an error, but not as the application's own writes demand."""


class Transaction:
    """Runs statements and remembers in the model what they must have done.

    statement: the name of the last one, for messages. Errors of the server pass through as
    psycopg.Error; a wrong number of rows, wrong content, or an accepted violation raise Surprise.
    """

    def __init__(self, session: Session, model: Model) -> None:
        self.model = model
        self.statement = "BEGIN"
        self._session = session

    def run(self, name: str, parameters: Sequence[str | None], *, rows: int) -> None:
        """Run a statement that is written out and must touch exactly `rows` rows."""
        self.statement = name
        _expect(rows, self._session.run(name, parameters))

    def fetch(self, name: str, parameters: Sequence[str | None]) -> Sequence[tuple[object, ...]]:
        """Run a statement that is written out and return its rows."""
        self.statement = name
        return self._session.run(name, parameters).rows

    def insert(self, table: str, row: Row) -> Key:
        """Insert a row with all the columns the application writes."""
        shape = self.model.tables[table]
        self.statement = f"insert {table}"
        answer = self._session.insert(shape, row)
        _expect(1, answer)
        if shape.made:
            (made,) = answer.rows
            row = {**row, **dict(zip(shape.made, map(_text, made), strict=True))}
        return self.model.put(table, row)

    def update(self, table: str, key: Key, **values: str | None) -> None:
        """Set columns of an own row, the key's columns too."""
        self.statement = f"update {table} {', '.join(values)}"
        _expect(1, self._session.update(self.model.tables[table], key, values))
        self.model.update(table, key, **values)

    def delete(self, table: str, key: Key) -> None:
        """Delete an own row, and with it what hangs on it."""
        self.statement = f"delete {table}"
        _expect(1, self._session.delete(self.model.tables[table], key))
        self.model.delete(table, key)

    def read_back(self, table: str, key: Key) -> None:
        """Read an own row: it must be as it was last written."""
        shape = self.model.tables[table]
        expected = self.model.rows[table][key]
        self.statement = f"select {table}"
        found = self._session.read(shape, key).rows
        if len(found) != 1:
            raise Surprise(f"{table} {key} is there {len(found)} times")
        read = dict(zip(shape.columns, map(_text, found[0]), strict=True))
        wrong = [column for column, value in read.items() if not shape.same(column, value, expected[column])]
        if wrong:
            raise Surprise(f"{table} {key} has other values in {', '.join(wrong)}")

    def refused(self, table: str, row: Row, violation: type[psycopg.errors.IntegrityError]) -> None:
        """Insert a row that a constraint must refuse, with this error; nothing remains of it."""
        self.statement = f"insert {table}"
        try:
            with self._session.savepoint():
                self._session.insert(self.model.tables[table], row)
                # A deferred constraint would speak up at COMMIT only.
                self._session.check_constraints()
        except psycopg.errors.IntegrityError as error:
            if not isinstance(error, violation):
                raise
        else:
            raise Surprise(f"accepted what must be refused with {violation.sqlstate}")


def _expect(rows: int, answer: Answer) -> None:
    if answer.touched != rows:
        raise Surprise(f"touched {answer.touched} rows, not {rows}")


def _text(value: object) -> str | None:
    """What a `::text` column gives."""
    return None if value is None else str(value)
