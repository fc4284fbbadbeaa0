"""What was seen beside the database: the broker, and wrong logins at the run page."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from sql.ledger.schema.fact_tables import BROKER_STATUS, WRONG_LOGIN
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given


@dataclass(frozen=True, kw_only=True)
class BrokerSeen:
    """The broker as the coordinator saw it at `seen_at`, and has been seeing it `since`. A `problem` where it does not
    answer."""

    seen_at: datetime
    answers: bool
    since: datetime
    problem: str


@dataclass(frozen=True, kw_only=True)
class WrongLogins:
    """Wrong logins at the run page `since` its server began: `count` in all; of these `refused` ones came too fast to
    be compared. `name` and `address` are the last one's."""

    since: datetime
    count: int
    refused: int
    last_at: datetime
    name: str
    address: str


_NOTE_BROKER = Command("signs.note_broker")
_BROKER = Query(
    select(BROKER_STATUS.c.seen_at, BROKER_STATUS.c.answers, BROKER_STATUS.c.since, BROKER_STATUS.c.problem),
    BrokerSeen,
)
_LOGIN_COLUMNS = tuple(WRONG_LOGIN.c[field.name] for field in fields(WrongLogins))
_COUNTED = insert(WRONG_LOGIN).values({column: given(column.name) for column in _LOGIN_COLUMNS}).inline()
_NOTE_LOGINS = Command(
    _COUNTED.on_conflict_do_update(
        index_elements=["only_one"], set_={column.name: _COUNTED.excluded[column.name] for column in _LOGIN_COLUMNS}
    )
)
_LOGINS = Query(select(*_LOGIN_COLUMNS), WrongLogins)


def note_broker(connection: Connection, *, answers: bool, problem: str, age_s: float) -> None:
    """Keep what was seen of the broker `age_s` seconds ago."""
    _NOTE_BROKER(connection, answers=answers, problem=problem, age_s=age_s)


def read_broker(connection: Connection) -> BrokerSeen | None:
    """What was seen of the broker last; None before the first check."""
    return _BROKER.first(connection)


def note_logins(connection: Connection, seen: WrongLogins) -> None:
    """Keep what the page's server has counted."""
    _NOTE_LOGINS(connection, **asdict(seen))


def read_logins(connection: Connection) -> WrongLogins | None:
    """Wrong logins at the page; None where there were none."""
    return _LOGINS.first(connection)
