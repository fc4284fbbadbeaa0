"""The server judges what the check says of a statement: it is prepared on the tables of before and of after."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from demo.embedded import EmbeddedPostgres
from inspect_check.conftest import Database
from producer.check.statements.audit import read_functions, read_other_tables
from producer.check.statements.usage.known import Known, known
from producer.check.statements.usage.reader import read_statement
from producer.planning.prepared_run import prepare_run
from producer.planning.resolution import PlanFile
from replank.plan.plan import Plan
from sql.session.connection import Connection, connect
from sql.session.statements import execute
from sql.values.text_casts import create_text_casts

pytestmark = pytest.mark.catalogue

TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'well');
CREATE TABLE owner (id {0} PRIMARY KEY, name text);
CREATE TABLE item (id {0} PRIMARY KEY, owner_id {0}, state {1}, members {2}, note varchar(50), n int,
                       created date NOT NULL DEFAULT '2026-01-01', UNIQUE (id, created));
CREATE TABLE log (line text, n int);
CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)';
"""
COLUMNS = {
    "owner": [{"name": "id", "to": "uuid"}],
    "item": [
        {"name": "id", "to": "uuid"},
        {"name": "owner_id", "to": "uuid"},
        {"name": "members", "to": "uuid[]"},
        {"name": "state", "to": "enum", "type": "mood"},
    ],
}

STATEMENTS = Path(__file__).with_name("statements.sql").read_text(encoding="utf-8").splitlines()
"""What clients may send, one a line: nothing there says which of them fail afterwards, the server does."""


def _refused(connection: psycopg.Connection) -> set[str]:
    """The statements that the server does not take on the tables of this database."""
    refused = set()
    for text in STATEMENTS:
        try:
            connection.execute(b"PREPARE tried AS " + text.encode())
        except psycopg.errors.ProgrammingError:
            refused.add(text)
        else:
            connection.execute("DEALLOCATE tried")
    return refused


def _known(connection: Connection, *, text_casts: bool) -> Known:
    tables = [{"name": name, "columns": columns} for name, columns in COLUMNS.items()]
    plan = Plan.model_validate({"database": {"name": connection.info.dbname}, "tables": tables})
    prepared = prepare_run(connection, PlanFile(plan=plan, source="plan.toml", text=""))
    return known(
        prepared.subjects, read_other_tables(connection, prepared), read_functions(connection), text_casts=text_casts
    )


@pytest.mark.parametrize("text_casts", [False, True])
def test_the_server_refuses_what_the_check_names_and_nothing_else(
    postgres: EmbeddedPostgres, database: Database, text_casts: bool
) -> None:
    # Given statements that the server takes today
    with psycopg.connect(database.url, autocommit=True) as app:
        app.execute(TABLES.format("varchar(36)", "text", "text[]").encode())
        assert _refused(app) == set()
    with connect(database.url, name="check") as connection:
        what = _known(connection, text_casts=text_casts)
    # When the columns have their new types
    after = postgres.create_database("after")
    with psycopg.connect(after, autocommit=True) as app, connect(after, name="casts") as connection:
        app.execute(TABLES.format("uuid", "mood", "uuid[]").encode())
        if text_casts:
            execute(connection, create_text_casts(connection))
        fail = _refused(app)
    postgres.drop_database("after")
    # Then the check names those that the server refuses, and no others
    named = {text for text in STATEMENTS if read_statement(text, what)}
    assert {"missed": sorted(fail - named), "false alarms": sorted(named - fail)} == {"missed": [], "false alarms": []}
    assert len(fail) > len(STATEMENTS) / 6
