"""Behind a pooler: a session of its own serves; a shared server connection is refused before anything is set."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from support.oracles.returning import go_back
from support.runs.forking import run_command
from support.runs.harness import Rebuild, Url, table
from support.servers.pgbouncer import PgBouncer, PoolMode

from demo.embedded import EmbeddedPostgres
from producer.stages.pooler_reconnect import reconnect
from replank.errors import NotAnswering, WrongUse
from replank.plan.operation.after_cutover_plan import PoolerAddress
from replank.plan.plan import parse_plan
from sql.session import pooler
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

SHOWN = ("search_path", "row_security", "timezone", "default_transaction_read_only", "statement_timeout")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooler, "ANSWER_S", 1.0)


@pytest.fixture
def pooled(postgres: EmbeddedPostgres, request: pytest.FixtureRequest) -> Iterator[PgBouncer]:
    mode: PoolMode = request.param[0]
    with PgBouncer(postgres.url(), mode, pool_size=request.param[1]) as made:
        yield made


def settings(session: psycopg.Connection) -> list[object]:
    return [session.execute(f"SHOW {name}".encode()).fetchone() for name in SHOWN]


@pytest.mark.parametrize("pooled", [("transaction", 1), ("transaction", 20), ("statement", 20)], indirect=True)
def test_a_shared_server_connection_is_refused_and_stays_as_it_was(pooled: PgBouncer, database: Url) -> None:
    name = database.rsplit("/", 1)[1]
    with psycopg.connect(pooled.url(name), autocommit=True, prepare_threshold=None) as application:
        before = settings(application)
        for _ in range(3):
            with pytest.raises(WrongUse, match="pooler in transaction or statement mode"):
                connect(pooled.url(name), name="status")
        assert settings(application) == before


@pytest.mark.parametrize("pooled", [("transaction", 20)], indirect=True)
def test_a_command_says_so_in_one_sentence(pooled: PgBouncer, database: Url) -> None:
    url = pooled.url(database.rsplit("/", 1)[1])
    done = run_command("status", "--database-url", url, environment=os.environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("replank: ")
    assert "pool_mode = session" in done.stderr


@pytest.mark.parametrize("pooled", [("transaction", 3)], indirect=True)
def test_it_is_seen_while_the_application_uses_the_pool(pooled: PgBouncer, database: Url) -> None:
    """Other clients take turns at the server's connections, so that no two statements meet the same one by chance."""
    url = pooled.url(database.rsplit("/", 1)[1])
    clients = [psycopg.connect(url, prepare_threshold=None) for _ in range(2)]
    for client in clients:
        client.execute("SELECT 1")
    with pytest.raises(WrongUse, match="pooler"):
        connect(url, name="check")
    for client in clients:
        client.rollback()
        client.close()


@pytest.mark.parametrize("pooled", [("session", 20)], indirect=True)
def test_a_session_of_its_own_serves(pooled: PgBouncer, database: Url) -> None:
    with connect(pooled.url(database.rsplit("/", 1)[1]), name="check") as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("pg_catalog",)


@pytest.mark.parametrize("pooled", [("session", 1)], indirect=True)
def test_the_only_session_of_a_pool_is_a_session_of_its_own(pooled: PgBouncer, database: Url) -> None:
    with connect(pooled.url(database.rsplit("/", 1)[1]), name="check") as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("pg_catalog",)


@pytest.mark.parametrize("pooled", [("session", 1)], indirect=True)
def test_a_pool_that_is_used_up_is_said(pooled: PgBouncer, database: Url) -> None:
    url = pooled.url(database.rsplit("/", 1)[1])
    with psycopg.connect(url) as client:
        client.execute("SELECT 1")
        with pytest.raises(NotAnswering, match="used up"):
            connect(url, name="check")


def reconnected(rebuild: Rebuild) -> list[str]:
    """What the run says that it told its poolers."""
    asked = "SELECT message FROM replank.event WHERE run_id = %s AND kind = 'pooler' ORDER BY event_id"
    return [message for (message,) in rebuild.connection.execute(asked, [rebuild.run_id])]


@pytest.mark.parametrize("pooled", [("transaction", 1)], indirect=True)
def test_pools_get_new_server_connections_at_each_swap_and_once(
    pooled: PgBouncer, database: Url, app: psycopg.Connection
) -> None:
    """Given an application behind a pooler, when its tables change places, then no server connection is older."""
    app.execute("CREATE TABLE item (id text PRIMARY KEY, n int)")
    sections = {"after_cutover": {"pgbouncer": [pooled.admin_url()]}}
    rebuild = Rebuild.begin(database, [table("item", "id")], {}, **sections)
    with rebuild.closing(), psycopg.connect(pooled.url(database.rsplit("/", 1)[1]), autocommit=True) as client:
        seen = [server_process(client)]
        rebuild.ready()
        seen.append(server_process(client))
        rebuild.finish()
        seen.append(server_process(client))
        assert len(reconnected(rebuild)) == 1
        said = go_back(rebuild)
        seen.append(server_process(client))
    assert said
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


def test_a_pooler_that_is_away_keeps_no_run_from_its_end(database: Url, app: psycopg.Connection) -> None:
    app.execute("CREATE TABLE item (id text PRIMARY KEY, n int)")
    sections = {"after_cutover": {"pgbouncer": ["postgresql://admin:${NO_SUCH_VARIABLE}@127.0.0.1:1/pgbouncer"]}}
    rebuild = Rebuild.begin(database, [table("item", "id")], {}, **sections)
    with rebuild.closing():
        rebuild.finish()
        assert ["NO_SUCH_VARIABLE" in said and "RECONNECT" in said for said in reconnected(rebuild)] == [True]
    away = reconnect(PoolerAddress(url="postgresql://admin:hidden@127.0.0.1:1/pgbouncer", shown="127.0.0.1:1"))
    assert "refused" in away
    assert "hidden" not in away


def test_a_password_in_the_plan_is_refused() -> None:
    with pytest.raises(WrongUse, match=r"a plan must not contain passwords: write \$\{NAME\}") as refused:
        parse_plan('[database]\nname = "x"\n[after_cutover]\npgbouncer = ["postgresql://a:hidden@h/p"]\n', source="p")
    assert "hidden" not in str(refused.value)


def server_process(client: psycopg.Connection) -> object:
    return client.execute("SELECT pg_backend_pid()").fetchone()
