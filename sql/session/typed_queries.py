"""Statements whose parameters have names and whose rows are values: Core expressions of SQLAlchemy, or named SQL.

A Core expression is compiled once, when it is first asked; what runs is its text, by psycopg, on the caller's own
session and in its transaction. No engine is between: the two would both begin and end transactions (decision 10).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cached_property, partial
from typing import Any, Generic, TypeVar, cast

import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL
from pydantic import PlainValidator, TypeAdapter, ValidationError
from sqlalchemy import BindParameter, ClauseElement, ColumnElement, Integer, Interval, any_, literal_column
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Double, TypeEngine

from replank.errors import NeedsOperator
from sql.session.connection import Connection
from sql.session.named_queries import query

T = TypeVar("T")

_PARAMETER = re.compile(r"%\((\w+)\)s")
_DIALECT = registry.load("postgresql.psycopg")()


class Given(BindParameter[Any]):
    """What is given when the statement is run; all other values stand in its text, where the planner sees them."""

    inherit_cache = True
    alone = False
    """Nothing beside it says its type: it has to be sent with one."""


@compiles(Given)
def _as_parameter(element: Given, compiler: SQLCompiler, **options: Any) -> str:
    text: str = compiler.visit_bindparam(element, **{**options, "literal_binds": False})  # type: ignore[no-untyped-call]
    # Without a cast, a number that is too large for the column is in no row; with one it would be an error.
    return text if element.alone or not isinstance(element.type, Integer) else text.partition("::")[0]


def given(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]] | None = None) -> BindParameter[Any]:
    """A parameter. Its type is that of the column beside it, or `kind` where it stands alone."""
    # Not "required": the statement is compiled without it, once.
    made = Given(name, None, type_=kind)
    made.alone = kind is not None
    return made


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a column is one of the values of a list that is given."""
    return column == any_(given(name, ARRAY(column.type)))


def seconds(name: str) -> ColumnElement[Any]:
    """An interval of so many seconds as are given."""
    return given(name, Double) * literal_column("interval '1 second'", Interval)


class Document(PlainValidator):
    """In `Annotated[Value, Document(Value.from_json)]`: a JSON column that holds a value, as `make` reads it.

    One that another version wrote may lack what this one needs, or have what it does not know: an error in words.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__(partial(_read_document, make))


def _read_document(make: Callable[[Any], Any], found: Any) -> Any:
    if found is None:
        raise ValueError("there is no document")
    try:
        return make(found)
    except KeyError as error:
        raise ValueError(f"its document has no {error}") from None
    except (TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"its document is another one ({error})") from None


class TypedStatement:
    """A Core expression, or the named query `file.block`. Its parameters are given by name."""

    def __init__(self, statement: ClauseElement | str) -> None:
        self.statement = statement

    @cached_property
    def text(self) -> SQL:
        """What is sent."""
        if isinstance(self.statement, str):
            return query(self.statement)
        options = {"literal_binds": True, "render_postcompile": True}
        compiled = cast(SQLCompiler, self.statement.compile(dialect=_DIALECT, compile_kwargs=options))
        text = str(compiled)
        left = [name for name in _PARAMETER.findall(text) if not isinstance(compiled.binds[name], Given)]
        assert not left, f"constants that do not stand in the text: {left}"
        return SQL(text)

    def _run(self, connection: Connection, given: dict[str, Any]) -> psycopg.Cursor[TupleRow]:
        return connection.execute(self.text, given)


class Command(TypedStatement):
    """A statement that is told to do something. Returns how many rows it was done to."""

    def __call__(self, connection: Connection, /, **given: Any) -> int:
        return self._run(connection, given).rowcount


class Query(TypedStatement, Generic[T]):
    """A statement that returns rows, each as a value: a dataclass with the columns' names, or the one column's type."""

    def __init__(self, statement: ClauseElement | str, into: type[T]) -> None:
        super().__init__(statement)
        self._into = into

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._into)

    @cached_property
    def _names(self) -> frozenset[str] | None:
        """The columns that it has to return; None where it is one of any name."""
        return frozenset(field.name for field in fields(self._into)) if is_dataclass(self._into) else None

    def all(self, connection: Connection, /, **given: Any) -> list[T]:
        """Every row."""
        cursor = self._run(connection, given)
        return self._values(cursor, cursor.fetchall(), given)

    def first(self, connection: Connection, /, **given: Any) -> T | None:
        """The first row; None where there is none."""
        cursor = self._run(connection, given)
        found = cursor.fetchone()
        return None if found is None else self._values(cursor, [found], given)[0]

    def only(self, connection: Connection, /, **given: Any) -> T:
        """The row of a statement that always has one. Raises NeedsOperator if it has none."""
        found = self.first(connection, **given)
        if found is None:
            raise NeedsOperator(
                "A query that always returns a row returned none; the ledger may have been edited by hand."
            )
        return found

    def _values(self, cursor: psycopg.Cursor[TupleRow], rows: list[TupleRow], given: dict[str, Any]) -> list[T]:
        names = [column.name for column in cursor.description or ()]
        if self._names is None:
            assert len(names) == 1, f"one column was expected, and {names} came"
            rows = cast("list[TupleRow]", [row[0] for row in rows])
        else:
            assert self._names == set(names), (
                f"{self._into.__name__} and its columns differ: {self._names ^ set(names)}"
            )
            rows = cast("list[TupleRow]", [dict(zip(names, row, strict=True)) for row in rows])
        try:
            return [self._adapter.validate_python(row) for row in rows]
        except ValidationError as error:
            raise _written_by_another_version(error, given) from None


def _written_by_another_version(error: ValidationError, given: dict[str, Any]) -> NeedsOperator:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    what = ".".join(str(part) for part in first["loc"])
    numbers = ", ".join(f"{name} {value}" for name, value in given.items() if type(value) is int)
    where = f" ({numbers})" if numbers else ""
    return NeedsOperator(
        f"The ledger holds what this version of Replank does not understand{where}: {what}: {first['msg']}.",
        hint="It was written by another version, or by hand. Continue with the version that began the run: "
        "SELECT run_id, begun_by FROM replank.run;",
    )
