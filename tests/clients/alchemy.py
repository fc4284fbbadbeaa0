"""SQLAlchemy's ORM over each of its drivers, with each type that an id's column may have in the models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from sqlalchemy.types import TypeEngine, UserDefinedType

from clients.client import KINDS, Client, Ids, Refused

Models = tuple[Any, Any]


class TextOrUuid(UserDefinedType[str]):
    """An id that is text or uuid in the database, and str in Python. No cast is written around its values."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:  # noqa: ARG002
        return "VARCHAR(36)"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], Any]:  # noqa: ARG002
        return lambda value: None if value is None else str(value)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        return lambda value: None if value is None else str(value)


def models(id_type: TypeEngine[Any]) -> Models:
    """Item and Owner with ids of this type."""

    class Base(DeclarativeBase):
        pass

    class Owner(Base):
        __tablename__ = "owner"
        id = mapped_column(id_type, primary_key=True)
        name = mapped_column(sa.String(50))

    class Item(Base):
        __tablename__ = "item"
        id = mapped_column(id_type, primary_key=True)
        owner_id = mapped_column(id_type, sa.ForeignKey("owner.id"))
        note = mapped_column(sa.String(50))

    return Item, Owner


def work(session: Session, kind: str, ids: Ids, known: Models) -> str:
    """One kind of statement, as an application would say it; committed."""
    item, owner = known
    read: Any = None
    match kind:
        case "insert":
            session.add(item(id=ids.item, owner_id=ids.owner, note="x"))
        case "by id":
            found = session.scalars(sa.select(item).where(item.id == ids.item)).one_or_none()
            read = None if found is None else found.id
        case "IN":
            session.scalars(sa.select(item).where(item.id.in_([ids.item, ids.other]))).all()
        case "join":
            session.scalars(sa.select(item).join(owner, owner.id == item.owner_id).where(owner.id == ids.owner)).all()
        case "update":
            # An object that is found without its id, so that its own id is what the UPDATE compares with.
            found = session.scalars(sa.select(item).where(item.note == "y").order_by(item.id).limit(1)).one()
            found.owner_id = ids.other if str(found.owner_id) != ids.other else ids.owner
        case "delete":
            found = session.get(item, ids.item)
            if found is not None:
                session.delete(found)
    session.commit()
    return "" if read is None else type(read).__name__


class OrmSession:
    """A pool of one connection."""

    def __init__(self, engine: sa.Engine, known: Models) -> None:
        self.engine = engine
        self.known = known

    def run(self, kind: str, ids: Ids) -> str:
        try:
            with Session(self.engine) as session:
                return work(session, kind, ids, self.known)
        except sa.exc.SQLAlchemyError as error:
            raise Refused(str(error)) from None

    def close(self) -> None:
        self.engine.dispose()


class AsyncOrmSession:
    """The same over asyncpg, with a loop of its own."""

    def __init__(self, url: str, known: Models, options: dict[str, Any]) -> None:
        self.runner = asyncio.Runner()
        self.engine = create_async_engine(url, pool_size=1, max_overflow=0, **options)
        self.known = known

    def run(self, kind: str, ids: Ids) -> str:
        return self.runner.run(self._run(kind, ids))

    async def _run(self, kind: str, ids: Ids) -> str:
        try:
            async with AsyncSession(self.engine) as session:
                return await session.run_sync(work, kind, ids, self.known)
        except sa.exc.SQLAlchemyError as error:
            raise Refused(str(error)) from None

    def close(self) -> None:
        self.runner.run(self.engine.dispose())
        self.runner.close()


_CACHES_OFF = "?prepared_statement_cache_size=0"
_STRING, _UUID, _EITHER = models(sa.String(36)), models(sa.Uuid(as_uuid=False)), models(TextOrUuid())
_TYPE = "the column's type, see below"


def _client(driver: str, known: Models, name: str, sends: str, change: str, **options: Any) -> Client:
    def open_sync(url: str) -> OrmSession:
        made = sa.create_engine(url.replace("postgresql://", f"postgresql+{driver}://"), pool_size=1, **options)
        return OrmSession(made, known)

    def open_async(url: str) -> AsyncOrmSession:
        cached = "connect_args" not in options
        called = url.replace("postgresql://", "postgresql+asyncpg://").partition("?")[0]
        return AsyncOrmSession(called + ("" if cached else _CACHES_OFF), known, options)

    kinds = tuple(kind for kind in KINDS if kind != "ANY")
    opened = open_async if driver == "asyncpg" else open_sync
    return Client(name=f"SQLAlchemy 2 + {name}", sends=sends, change=change, open=opened, kinds=kinds)


_UNPREPARED = {"connect_args": {"prepare_threshold": None}, "use_insertmanyvalues": False}
_UNCACHED = {"connect_args": {"statement_cache_size": 0}, "use_insertmanyvalues": False}

CLIENTS = (
    _client("psycopg", _STRING, "psycopg 3, `String`", "`$1::VARCHAR`", _TYPE),
    _client("psycopg", _STRING, "psycopg 3, `String`, `pool_pre_ping`", "`$1::VARCHAR`", _TYPE, pool_pre_ping=True),
    _client(
        "psycopg", _UUID, "psycopg 3, `Uuid(as_uuid=False)`", "`$1::UUID`", "only after `replank finish`: fails before"
    ),
    _client("psycopg", _EITHER, "psycopg 3, `TextOrUuid`", "without a type", "nothing", **_UNPREPARED),
    _client("asyncpg", _STRING, "asyncpg, `String`", "`$1::VARCHAR`", _TYPE),
    _client(
        "asyncpg", _UUID, "asyncpg, `Uuid(as_uuid=False)`", "`$1::UUID`", "only after `replank finish`: fails before"
    ),
    _client("asyncpg", _EITHER, "asyncpg, `TextOrUuid`", "in the types that the server says", "nothing", **_UNCACHED),
    _client("pg8000", _STRING, "pg8000, `String`", "`%s::VARCHAR`", _TYPE),
    _client("pg8000", _EITHER, "pg8000, `TextOrUuid`", "without a type", "nothing", use_insertmanyvalues=False),
    _client("psycopg2", _STRING, "psycopg2, `String`", "literals", "nothing"),
)
