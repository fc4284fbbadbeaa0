"""One run and its rollback over two tables, with every client at work before, between and after."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import psycopg
from support.oracles.returning import go_back
from support.runs.harness import Rebuild, Table, table

from clients.client import Client, Ids, Refused, Session

TABLES = """
CREATE TABLE owner (id varchar(36) PRIMARY KEY, name varchar(50));
CREATE TABLE item (id varchar(36) PRIMARY KEY, owner_id varchar(36) NOT NULL REFERENCES owner, note varchar(50));
INSERT INTO owner SELECT gen_random_uuid()::text, 'owner ' || n FROM generate_series(1, 20) AS n;
INSERT INTO item SELECT gen_random_uuid()::text, o.id, 'y' FROM owner o, generate_series(1, 5);
GRANT SELECT, INSERT, UPDATE, DELETE ON owner, item TO app;
"""
PREPARING = 7
"""Rounds after which every driver that prepares statements by itself has done so."""
LATER = 3
"""Rounds of a session that meets the other type: the first may fail and the last may work again."""

Failed = list[frozenset[str]]
"""The kinds of statements that failed, for each round."""


@dataclass(kw_only=True)
class Measured:
    """What one client met. `read` is the type that an id is read as after the swap."""

    client: Client
    failed: dict[str, Failed] = field(default_factory=dict)
    read: str = ""
    written: set[str] = field(default_factory=set)
    """Ids of inserts that were acknowledged, less those of such deletes."""

    def cell(self, phase: str) -> str:
        """In a word: `0`, `all`, the kinds that fail, or those that fail until the session has met the new type."""
        rounds = self.failed[phase]
        first, last = rounds[0], rounds[-1]
        if last:
            return self._kinds(last)
        return f"{self._kinds(first)}, once" if first else "0"

    def _kinds(self, kinds: frozenset[str]) -> str:
        if kinds == set(self.client.kinds):
            return "all"
        return ", ".join(kind for kind in self.client.kinds if kind in kinds)


def measure(
    url: str, app_url: str, clients: Sequence[Client], *, text_casts: bool, prepared: str = ""
) -> list[Measured]:
    """Every client through a run and a rollback. `url` is the superuser's, of a database with nothing in it.

    `prepared`: what the owner of the tables, who is no superuser, executes before the run.
    """
    measured = [Measured(client=client) for client in clients]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES.encode())
        if prepared:
            _prepare(connection, app_url, prepared)
        owners = [str(id_) for (id_,) in connection.execute("SELECT id FROM owner ORDER BY id")]
        columns = [table("owner", "id"), table("item", "id", "owner_id")]
        with _opened(measured, app_url) as first, _rebuild(url, columns, text_casts) as rebuild:
            _work(measured, first, "before", owners, PREPARING)
            rebuild.finish()
            _work(measured, first, "swap, old", owners, LATER)
            with _opened(measured, app_url) as second:
                _work(measured, second, "swap, new", owners, PREPARING)
                _refuse_losses(connection, measured)
                go_back(rebuild)
                _work(measured, second, "back, old", owners, LATER)
            with _opened(measured, app_url) as third:
                _work(measured, third, "back, new", owners, LATER)
        _refuse_losses(connection, measured)
    return measured


def _prepare(superuser: psycopg.Connection, app_url: str, prepared: str) -> None:
    database = superuser.info.dbname
    superuser.execute(f"GRANT CREATE ON DATABASE {database} TO app; GRANT CREATE ON SCHEMA public TO app".encode())
    superuser.execute("ALTER TABLE owner OWNER TO app; ALTER TABLE item OWNER TO app")
    with psycopg.connect(app_url, autocommit=True) as owner:
        owner.execute(prepared.replace("DATABASE_NAME", database).encode())


@contextmanager
def _rebuild(url: str, columns: Sequence[Table], text_casts: bool) -> Iterator[Rebuild]:
    rebuild = Rebuild.begin(url, columns, {"text_casts": text_casts})
    with rebuild.closing():
        yield rebuild


@contextmanager
def _opened(measured: Sequence[Measured], url: str) -> Iterator[list[Session]]:
    """A session of every client."""
    with ExitStack() as stack:
        sessions = []
        for one in measured:
            sessions.append(one.client.open(url))
            stack.callback(sessions[-1].close)
        yield sessions


def _work(
    measured: Sequence[Measured], sessions: Sequence[Session], phase: str, owners: Sequence[str], rounds: int
) -> None:
    for one, session in zip(measured, sessions, strict=True):
        one.failed[phase] = [_round(one, session, phase, owners) for _ in range(rounds)]


def _round(one: Measured, session: Session, phase: str, owners: Sequence[str]) -> frozenset[str]:
    """One statement of each kind, about an item of its own."""
    ids = Ids(item=str(uuid.uuid4()), owner=owners[0], other=owners[1])
    failed = set()
    for kind in one.client.kinds:
        try:
            read = session.run(kind, ids)
        except Refused:
            failed.add(kind)
            continue
        if kind == "insert":
            one.written.add(ids.item)
        elif kind == "delete":
            one.written.discard(ids.item)
        elif kind == "by id" and read and phase == "swap, new":
            one.read = read
    return frozenset(failed)


def _refuse_losses(connection: psycopg.Connection, measured: Sequence[Measured]) -> None:
    """Every insert that was acknowledged is there, unless its delete was."""
    there = {str(id_) for (id_,) in connection.execute("SELECT id FROM item")}
    assert {one.client.name: one.written - there for one in measured if one.written - there} == {}
