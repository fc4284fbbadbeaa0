"""Settings of server, database and role that change what a statement means, or end it: a run is the same under them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import conninfo
from psycopg.sql import SQL, Identifier
from support.oracles.oracle import differences, live, one, past
from support.oracles.returning import everything_left, go_back
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, table

from demo.embedded import EmbeddedPostgres
from replank.errors import WrongUse
from replank.values.states import TableState
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

HOSTILE = {
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "statement_timeout": "30ms",
    "lock_timeout": "1ms",
    "transaction_timeout": "300ms",
    "idle_in_transaction_session_timeout": "20ms",
    "idle_session_timeout": "50ms",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "xmloption": "document",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "gin_fuzzy_search_limit": "1",
    "exit_on_error": "on",
    "client_encoding": "SQL_ASCII",
    "search_path": "nowhere",
    "row_security": "on",
    "session_replication_role": "replica",
    "plpgsql.extra_errors": "all",
    "plpgsql.variable_conflict": "use_column",
    "restrict_nonsystem_relation_kind": "view",
}


@pytest.mark.attack("A1", "27 settings of the database that change what statements mean, or end them")
def test_a_run_under_hostile_settings_is_a_run(
    app: psycopg.Connection, begin: Begin, database: Url, attack: Attack
) -> None:
    app.execute("CREATE TABLE p (id text PRIMARY KEY, at timestamptz, few int[], b bytea, f float8, i interval)")
    app.execute("CREATE TABLE c (id text PRIMARY KEY, p_id text REFERENCES p, note text)")
    app.execute("CREATE VIEW both_of AS SELECT p.at, c.note FROM p JOIN c ON c.p_id = p.id")
    app.execute(
        "INSERT INTO p SELECT gen_random_uuid()::text, timestamptz '2026-01-02 03:04:05+00' + g * interval '1 day',"
        " ARRAY[g, NULL], decode('00ff5c27', 'hex'), 1.0 / g, interval '1 day -1 second'"
        " FROM generate_series(1, 300) AS g"
    )
    app.execute(r"INSERT INTO c SELECT gen_random_uuid()::text, id, E'\\ '' ä' FROM p")
    for name, said in HOSTILE.items():
        if one(app, "SELECT count(*) FROM pg_settings WHERE name = %s", name) or "." in name:
            statement = SQL("ALTER DATABASE {} SET {} = {}")
            app.execute(statement.format(Identifier(app.info.dbname), SQL(name), said))
    before = _rows(app)
    rebuild = begin(table("p", "id"), table("c", "id", "p_id"), chunk_mb=1)
    rebuild.finish()
    assert differences(app, past("p"), live("p"), {"id"}) == []
    assert differences(app, past("c"), live("c"), {"id", "p_id"}) == []
    go_back(rebuild)
    assert _rows(app) == before
    assert everything_left(app) == []
    attack.record("swapped and rolled back, every value kept", tried=len(HOSTILE), lost=0)
    with connect(database, name="test") as connection:
        assert one(connection, "SHOW session_replication_role") == "origin"


def test_a_value_is_the_same_whoever_brings_its_row(app: psycopg.Connection, begin: Begin) -> None:
    """The trigger of a backfill fills in the application's session what jobs fill in ours."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, at timestamptz NOT NULL, told text)")
    row = "INSERT INTO t VALUES (%s, '2026-01-02 03:04:05+00', NULL)"
    app.execute(row, ["before"])
    planned = table("t", method="backfill", fill=[{"name": "told", "value": "live.at::text"}])
    rebuild = begin(planned)
    rebuild.until(TableState.EXTENDED)
    app.execute("SET timezone = 'Asia/Kathmandu'; SET datestyle = 'German'")
    app.execute(row, ["beside"])
    rebuild.finish()
    assert app.execute("SELECT DISTINCT told FROM t").fetchall() == [("2026-01-02 03:04:05+00",)]


def _rows(app: psycopg.Connection) -> list[object]:
    return [row for name in ("p", "c") for row in app.execute(f"SELECT t::text FROM {name} AS t ORDER BY 1").fetchall()]  # noqa: S608


@pytest.fixture
def clerk(app: psycopg.Connection, database: Url) -> Iterator[Url]:
    """The URL of an ordinary role."""
    app.execute("CREATE ROLE settings_clerk LOGIN PASSWORD 'x'")
    yield conninfo.make_conninfo(database, user="settings_clerk", password="x")
    app.execute("DROP OWNED BY settings_clerk; DROP ROLE settings_clerk")


@pytest.mark.parametrize("name", ["session_replication_role", "zero_damaged_pages", "ignore_checksum_failure"])
def test_what_a_role_may_not_set_is_refused_with_its_place(app: psycopg.Connection, clerk: Url, name: str) -> None:
    said = "replica" if name == "session_replication_role" else "on"
    app.execute(f"ALTER DATABASE {app.info.dbname} SET {name} = {said}".encode())
    with pytest.raises(WrongUse, match=rf"{name} is {said} here, set by ALTER DATABASE") as refused:
        connect(clerk, name="test")
    assert f"GRANT SET ON PARAMETER {name}" in str(refused.value)
    app.execute(f"GRANT SET ON PARAMETER {name} TO settings_clerk".encode())
    with connect(clerk, name="test") as connection:
        assert one(connection, f"SHOW {name}") in ("origin", "off")


@pytest.mark.attack("C8", "a database with the encoding SQL_ASCII")
def test_a_database_that_knows_no_encoding_is_refused_in_words(postgres: EmbeddedPostgres, attack: Attack) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as session:
        session.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(WrongUse, match=r"SQL_ASCII.*ENCODING 'UTF8'"):
            connect(postgres.url("ascii"), name="test")
    finally:
        postgres.drop_database("ascii")
    attack.record("refused in words")
