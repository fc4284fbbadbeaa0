"""Sessions of the driver alone: psycopg, and statements in SQL."""

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import psycopg

from demo.clients.styles.session import Answer
from demo.clients.styles.statements import Sort, Statement, Statements
from demo.clients.tables import Key, Row, Table

Sent = str | uuid.UUID | list[uuid.UUID] | None


class DriverSession:
    """A `Session`; `send` makes of a parameter what the driver gets."""

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        statements: Statements,
        send: Callable[[Sort, str | None], Sent],
    ) -> None:
        self._connection = psycopg.connect(
            url, prepare_threshold=None, application_name=application_name, connect_timeout=10
        )
        self._statements = statements
        self._send = send

    @property
    def is_closed(self) -> bool:
        return self._connection.closed

    def insert(self, table: Table, row: Row) -> Answer:
        return self._execute(self._statements.insert(table), [row[column] for column in table.written])

    def update(self, table: Table, key: Key, values: Row) -> Answer:
        return self._execute(self._statements.update(table, tuple(values)), [*values.values(), *key])

    def delete(self, table: Table, key: Key) -> Answer:
        return self._execute(self._statements.delete(table), key)

    def read(self, table: Table, key: Key) -> Answer:
        return self._execute(self._statements.select(table), key)

    def run(self, name: str, parameters: Sequence[str | None]) -> Answer:
        return self._execute(self._statements.written_out(name), parameters)

    def savepoint(self) -> AbstractContextManager[object]:
        return self._connection.transaction()

    def check_constraints(self) -> None:
        self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def commit(self) -> None:
        self._connection.commit()

    def rollback(self) -> None:
        self._connection.rollback()

    def close(self) -> None:
        self._connection.close()

    def _execute(self, statement: Statement, parameters: Sequence[str | None]) -> Answer:
        sent = [self._send(sort, value) for sort, value in zip(statement.sorts, parameters, strict=True)]
        cursor = self._connection.execute(statement.text, sent)
        rows = cursor.fetchall() if cursor.description is not None else []
        return Answer(touched=cursor.rowcount, rows=rows)
