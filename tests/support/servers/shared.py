"""One PostgreSQL and one Redis-compatible server for each test process, and databases on them that go again.

Roles, slots and settings belong to the whole server: a test leaves none behind, and after each module it is looked
whether one did. A suite that stops its server, or needs another setting, starts its own and says why.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.sql import SQL, Composed, Identifier

from demo.embedded import EmbeddedPostgres, EmbeddedValkey

SETTINGS = {
    "max_prepared_transactions": "10",
    "wal_level": "logical",
    # What a test counts is vacuumed and analysed when the test says so.
    "autovacuum": "off",
}
SESSIONS = "SELECT FROM pg_stat_activity WHERE datname = %s LIMIT 1"
_numbers = itertools.count(1)

OBJECTS = """
SELECT 'database ' || datname FROM pg_database
UNION ALL SELECT 'role ' || rolname FROM pg_roles
UNION ALL SELECT 'tablespace ' || spcname FROM pg_tablespace
UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots
UNION ALL SELECT 'subscription ' || subname FROM pg_subscription
UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin
UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts
UNION ALL SELECT 'member ' || member::regrole || ' of ' || roleid::regrole FROM pg_auth_members
UNION ALL SELECT 'parameter ' || parname || ' for ' || grantee::regrole FROM pg_parameter_acl, aclexplode(paracl)
  WHERE grantee <> grantor
UNION ALL SELECT 'setting ' || array_to_string(setconfig, ', ') FROM pg_db_role_setting WHERE setdatabase = 0
UNION ALL SELECT 'ALTER SYSTEM ' || name FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'
"""
"""What belongs to a whole server."""


class SharedPostgres(EmbeddedPostgres):
    """Makes and drops databases in one session: each test would open two for that."""

    _session: psycopg.Connection | None = None

    def stop(self, *, mode: str = "fast") -> None:
        if self._session is not None:
            self._session.close()
        super().stop(mode=mode)

    def drop_database(self, name: str) -> None:
        # A test's last sessions may be on their way out, and the server looks for them ten times a second only.
        for _ in range(20):
            if self._session is None or self._session.execute(SESSIONS, [name]).fetchone() is None:
                break
            time.sleep(0.002)
        super().drop_database(name)

    def _execute(self, statement: Composed) -> None:
        for is_last in (False, True):
            if self._session is None or self._session.closed:
                self._session = psycopg.connect(self.url(), autocommit=True)
            try:
                self._session.execute(statement)
            except psycopg.OperationalError:
                # A killed server process takes all sessions with it.
                if is_last or not self._session.closed:
                    raise
            else:
                return


class Shared:
    """The server of this process once it runs, what it began with, and what suites keep on it for a while."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.server: EmbeddedPostgres | None = None
        self.kept: set[str] = set()
        self._first: frozenset[str] = frozenset()

    def start(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self._first = objects(server)

    def objects(self) -> frozenset[str]:
        """Those of the server; before it runs, those that it will begin with are none of anybody's."""
        return objects(self.server) if self.server is not None else frozenset()

    def left(self, before: frozenset[str]) -> list[str]:
        """What has come since `before` and belongs to no suite."""
        return sorted(self.objects() - before - self._first - self.kept)

    @contextmanager
    def keeping(self, *names: str) -> Iterator[None]:
        """So named objects outlive a module: whoever makes them takes them away again."""
        self.kept.update(names)
        yield
        self.kept.difference_update(names)


shared = Shared()


def objects(server: EmbeddedPostgres) -> frozenset[str]:
    """What belongs to the whole of it, each with its kind."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        return frozenset(name for (name,) in connection.execute(OBJECTS).fetchall())


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The PostgreSQL of this test process."""
    with SharedPostgres(durable=False, settings=SETTINGS) as server:
        shared.start(server)
        yield server
        shared.server = None


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedValkey]:
    """The broker of this test process, never emptied: queues bear the name of their database."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def nothing_stays() -> Iterator[None]:
    """A module leaves nothing on the shared server that another could meet."""
    before = shared.objects()
    yield
    left = shared.left(before)
    assert left == [], "left on the server that all tests of this process share"


@contextmanager
def template(
    server: EmbeddedPostgres, name: str, fill: Callable[[str], object], *, copied: str | None = None
) -> Iterator[str]:
    """The name of a database that a suite makes once, filled by `fill(url)`, and copies for its tests.

    It is empty before, or a copy of another one.
    """
    with shared.keeping(f"database {name}"):
        try:
            fill(server.create_database(name, template=copied))
            yield name
        finally:
            server.drop_database(name)


@contextmanager
def new_database(server: EmbeddedPostgres, prefix: str = "test", *, template: str | None = None) -> Iterator[str]:
    """The URL of a database that is gone afterwards: an empty one, or a copy."""
    name = f"{prefix}_{next(_numbers)}"
    try:
        yield server.create_database(name, template=template)
    finally:
        server.drop_database(name)


def drop_roles(server: EmbeddedPostgres, *names: str) -> None:
    """With all that the whole server grants them. No database may hold anything of theirs any more."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for name in names:
            connection.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
            connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of an empty database."""
    with new_database(postgres) as url:
        yield url


@pytest.fixture
def app(database: str) -> Iterator[psycopg.Connection]:
    """The application's first session, in autocommit."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection
