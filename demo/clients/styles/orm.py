"""SQLAlchemy's ORM over psycopg 3: one Engine with a pool for all clients of a group, and sessions of objects."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Mapper
from sqlalchemy.orm import Session as ObjectSession
from sqlalchemy.orm.exc import StaleDataError

from demo.clients.styles.session import Answer
from demo.clients.tables import Key, Row, Table

Operation = Callable[[ObjectSession, Sequence[str | None]], Answer]
"""What a workload has written out with objects: it flushes what its answer needs."""


class Orm:
    """A `Style`. models: the application's classes; operations: what is written out, by name."""

    def __init__(self, models: Sequence[type], operations: Mapping[str, Operation]) -> None:
        self._models = models
        self._operations = operations
        self._entities: dict[str, _Entity] = {}
        self._engines: dict[tuple[str, str], sa.Engine] = {}
        self._lock = threading.Lock()

    def open(self, url: str, *, application_name: str) -> "OrmSession":
        with self._lock:
            if not self._entities:
                self._entities = {entity.table: entity for entity in map(_entity, self._models)}
            engine = self._engines.get((url, application_name)) or create_engine(url, application_name)
            self._engines[url, application_name] = engine
        return OrmSession(engine, self._entities, self._operations)


def create_engine(url: str, application_name: str) -> sa.Engine:
    """As docs/clients.md advises before a cutover: no prepared statements, rows with keys of the server one by one."""
    return sa.create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        connect_args={"prepare_threshold": None, "application_name": application_name, "connect_timeout": 10},
        use_insertmanyvalues=False,
        pool_pre_ping=True,
    )


@dataclass(frozen=True, kw_only=True)
class _Entity:
    """A class and its table; attributes: column -> what it is called in the class; types: column -> Python's type."""

    table: str
    made_by: type
    attributes: Mapping[str, str]
    types: Mapping[str, type]

    def read(self, found: object, column: str) -> object:
        value = getattr(found, self.attributes[column])
        return None if value is None else str(value)

    def values(self, row: Row) -> dict[str, Any]:
        """What the class takes, of texts as the server prints them."""
        return {
            self.attributes[column]: None if text is None else self.types[column](text) for column, text in row.items()
        }

    def key(self, table: Table, key: Key) -> tuple[object, ...]:
        return tuple(self.types[column](value) for column, value in zip(table.key, key, strict=True))


def _entity(model: type) -> _Entity:
    mapper: Mapper[Any] = sa.inspect(model)
    table = mapper.local_table
    assert isinstance(table, sa.Table), f"{model.__name__} is of no table"
    return _Entity(
        table=table.name,
        made_by=model,
        attributes={column.name: mapper.get_property_by_column(column).key for column in table.columns},
        types={column.name: column.type.python_type for column in table.columns},
    )


class OrmSession:
    """A `Session`. Its objects stay from one transaction to the next, and are read again when they are used."""

    def __init__(self, engine: sa.Engine, entities: Mapping[str, _Entity], operations: Mapping[str, Operation]) -> None:
        self._session = ObjectSession(engine)
        self._entities = entities
        self._operations = operations
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def insert(self, table: Table, row: Row) -> Answer:
        entity = self._entities[table.name]
        with self._errors():
            made = entity.made_by(**entity.values({column: row[column] for column in table.written}))
            self._session.add(made)
            self._session.flush()
            return Answer(touched=1, rows=[tuple(entity.read(made, column) for column in table.made)])

    def update(self, table: Table, key: Key, values: Row) -> Answer:
        with self._errors():
            found = self._get(table, key)
            if found is None:
                return Answer(touched=0)
            for attribute, value in self._entities[table.name].values(values).items():
                setattr(found, attribute, value)
            self._session.flush()
            return Answer(touched=1)

    def delete(self, table: Table, key: Key) -> Answer:
        with self._errors():
            found = self._get(table, key)
            if found is None:
                return Answer(touched=0)
            self._session.delete(found)
            self._session.flush()
            return Answer(touched=1)

    def read(self, table: Table, key: Key) -> Answer:
        entity = self._entities[table.name]
        with self._errors():
            found = self._get(table, key, populate_existing=True)
            if found is None:
                return Answer(touched=0)
            return Answer(touched=1, rows=[tuple(entity.read(found, column) for column in table.columns)])

    def run(self, name: str, parameters: Sequence[str | None]) -> Answer:
        with self._errors():
            return self._operations[name](self._session, parameters)

    def savepoint(self) -> AbstractContextManager[object]:
        return self._savepoint()

    def check_constraints(self) -> None:
        with self._errors():
            self._session.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))

    def commit(self) -> None:
        with self._errors():
            self._session.commit()

    def rollback(self) -> None:
        with self._errors():
            self._session.rollback()

    def close(self) -> None:
        with self._errors():
            self._session.close()

    def _get(self, table: Table, key: Key, **options: Any) -> object | None:
        entity = self._entities[table.name]
        return self._session.get(entity.made_by, entity.key(table, key), **options)

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        with self._errors(), self._session.begin_nested():
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLAlchemy's errors as the driver's. A row that another client has written first is one to try again."""
        try:
            yield
        except StaleDataError as error:
            raise psycopg.errors.SerializationFailure(str(error)) from error
        except sa.exc.DBAPIError as error:
            self._is_closed = self._is_closed or error.connection_invalidated
            if isinstance(error.orig, psycopg.Error):
                raise error.orig from error
            raise psycopg.Error(str(error)) from error
        except sa.exc.SQLAlchemyError as error:
            raise psycopg.Error(f"{type(error).__name__}: {error}") from error
