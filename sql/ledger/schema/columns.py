"""The words that the ledger's tables are described in. Constraints have the names that PostgreSQL gives by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Identity,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

LEDGER = MetaData(
    schema="replank",
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)


class LogPosition(UserDefinedType[str]):
    """A place in the server's write-ahead log, which SQLAlchemy has no type for."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "pg_lsn"


ischema_names.setdefault("pg_lsn", LogPosition)


def _column(
    name: str, kind: Any, *checks: CheckConstraint, optional: bool, default: str | None, comment: str | None
) -> Column[Any]:
    made = None if default is None else text(default)
    return Column(name, kind, *checks, nullable=optional, server_default=made, comment=comment)


def identity(name: str) -> Column[Any]:
    """A number that the server counts."""
    return Column(name, BigInteger, Identity(always=True), nullable=False)


def number(name: str, *, optional: bool = False, default: int | None = None, comment: str | None = None) -> Column[Any]:
    """A number that fits in four bytes."""
    made = None if default is None else str(default)
    return _column(name, Integer, optional=optional, default=made, comment=comment)


def big(name: str, *, optional: bool = False, default: int | None = None, comment: str | None = None) -> Column[Any]:
    """A number of rows, bytes or blocks, or another table's `identity`."""
    made = None if default is None else str(default)
    return _column(name, BigInteger, optional=optional, default=made, comment=comment)


def fraction(name: str, *, comment: str | None = None) -> Column[Any]:
    """Milliseconds or a share, where it is known."""
    return _column(name, Double, optional=True, default=None, comment=comment)


def flag(name: str, *, default: bool | None = None, comment: str | None = None) -> Column[Any]:
    made = None if default is None else str(default).lower()
    return _column(name, Boolean, optional=False, default=made, comment=comment)


def words(name: str, *, optional: bool = False, default: str | None = None, comment: str | None = None) -> Column[Any]:
    """A text; its default is given as it is, without quotes."""
    made = None if default is None else f"'{default}'"
    return _column(name, Text, optional=optional, default=made, comment=comment)


def one_of(
    name: str,
    allowed: Iterable[str],
    *,
    optional: bool = False,
    default: str | None = None,
    comment: str | None = None,
) -> Column[Any]:
    """A text that is one of the values of an enum or a `Literal`; a constraint keeps all others out."""
    values = ", ".join(f"'{value}'" for value in allowed)
    check = CheckConstraint(f"{name} IN ({values})", name=name)
    made = None if default is None else f"'{default}'"
    return _column(name, Text, check, optional=optional, default=made, comment=comment)


def moment(name: str, *, optional: bool = False, now: bool = False, comment: str | None = None) -> Column[Any]:
    """A time; with `now` that of the statement that writes the row."""
    made = "clock_timestamp()" if now else None
    return _column(name, TIMESTAMP(timezone=True), optional=optional, default=made, comment=comment)


def log_position(name: str) -> Column[Any]:
    return _column(name, LogPosition, optional=False, default=None, comment=None)


def document(
    name: str, *, optional: bool = False, default: str | None = None, comment: str | None = None
) -> Column[Any]:
    """JSON that one type of Python writes and reads; the statements that ask for it name the type."""
    made = None if default is None else f"'{default}'"
    return _column(name, JSONB, optional=optional, default=made, comment=comment)


def gone_with(parent: Table, *columns: str) -> ForeignKeyConstraint:
    """Rows that go when the row goes that they belong to; the columns have the same names on both sides."""
    return ForeignKeyConstraint(columns, [parent.c[name] for name in columns], ondelete="CASCADE")
