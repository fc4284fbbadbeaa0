"""What stands in the fresh database of a protocol test, and the run on it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL
from support.oracles.oracle import count, live
from support.runs.harness import Rebuild, Table, Url

from protocol.caches.cached_shop import TABLES as SHOP_TABLES
from protocol.caches.cached_shop import USERS, Begin
from protocol.caches.cached_shop import begin as begin_cached
from protocol.dependents.family import FAMILY, ROWS, script
from protocol.dependents.hanging import GRANTS, OTHERS, TABLES, VIEWS, run
from sql.session import connection


@pytest.fixture
def other(database: Url) -> Iterator[psycopg.Connection]:
    """Another session of the application; its transactions stay open until it says otherwise."""
    with psycopg.connect(database) as connection:
        yield connection


@pytest.fixture
def begin(database: Url) -> Iterator[Callable[..., Rebuild]]:
    """Begins runs and closes what they hold."""
    begun: list[Rebuild] = []

    def start(*tables: Table, **options: int | str) -> Rebuild:
        begun.append(Rebuild.begin(database, tables, options))
        return begun[-1]

    yield start
    for rebuild in begun:
        rebuild.close()


@pytest.fixture
def event_triggers_fire(monkeypatch: pytest.MonkeyPatch) -> None:
    """As before version 17, and for every role that may not switch them off: also in sessions of the run's."""
    monkeypatch.setattr(connection, "query", lambda _name: SQL("SELECT 1"))


@pytest.fixture
def roles(app: psycopg.Connection) -> Iterator[None]:
    """Roles belong to the whole server, so they go again."""
    app.execute('CREATE ROLE "the Owner"; CREATE ROLE reader; CREATE ROLE clerk')
    yield
    app.execute("RESET ROLE")
    app.execute('DROP OWNED BY "the Owner", reader, clerk CASCADE; DROP ROLE "the Owner", reader, clerk')


@pytest.fixture
def everything(app: psycopg.Connection, request: pytest.FixtureRequest) -> None:
    """One of everything that can hang on a table."""
    request.getfixturevalue("roles")
    run(app, TABLES, VIEWS, OTHERS, GRANTS)
    app.execute("REFRESH MATERIALIZED VIEW above_totals")


@pytest.fixture
def family(app: psycopg.Connection) -> psycopg.Connection:
    """Tables that inherit, with rows, in the application's session."""
    script(app, FAMILY)
    script(app, ROWS)
    return app


@pytest.fixture
def shop(app: psycopg.Connection) -> psycopg.Connection:
    """The tables that caches are made from, in the application's session."""
    app.execute(SHOP_TABLES)
    return app


@pytest.fixture
def start(database: Url, shop: psycopg.Connection) -> Iterator[Begin]:
    """Begins runs on the filled shop and closes what they hold."""
    assert count(shop, live("user_permission_cache")) == USERS
    begun: list[Rebuild] = []

    def make(*cached: Mapping[str, Any], tables: tuple[Mapping[str, Any], ...] = ()) -> Rebuild:
        begun.append(begin_cached(database, *cached, tables=tables))
        return begun[-1]

    yield make
    for rebuild in begun:
        rebuild.close()
