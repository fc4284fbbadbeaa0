"""What PostgreSQL says is kept whole in findings, but for rows that its details quote."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.sql import SQL

from inspect_check.conftest import Database, only
from sql.session import connection
from sql.session.server_message import server_words, without_rows

pytestmark = pytest.mark.catalogue


@pytest.fixture
def people(database: Database) -> None:
    database.run(
        "CREATE TABLE person (id int PRIMARY KEY, mail text CONSTRAINT one_mail UNIQUE,"
        " age int CONSTRAINT old CHECK (age > 0))",
        "CREATE TABLE note (person int CONSTRAINT by REFERENCES person)",
        "INSERT INTO person VALUES (1, 'secret@example.org', 44)",
    )


def _error(database: Database, statement: str) -> psycopg.Error:
    with psycopg.connect(database.url) as session, pytest.raises(psycopg.Error) as caught:
        session.execute(statement.encode())
    return caught.value


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("INSERT INTO person VALUES (2, 'secret@example.org', 1)", "one_mail"),
        ("INSERT INTO person VALUES (3, 'secret@example.org 2', -1)", "old"),
        ("INSERT INTO person (mail) VALUES ('secret@example.org 3')", "column"),
        ("INSERT INTO note VALUES (4444)", "by"),
    ],
)
def test_rows_are_not_quoted_and_constraints_are_named(database: Database, statement: str, named: str) -> None:
    error = _error(database, statement)
    said = without_rows(error, hint=True)
    assert "secret" not in said
    assert "4444" not in said
    assert named in said
    # What goes into the ledger is for the operator, who has to find the row
    assert error.diag.message_detail is not None
    assert error.diag.message_detail in server_words(error)


def test_details_and_hints_of_definitions_are_kept(database: Database) -> None:
    error = _error(database, "CREATE TABLE t (n int PRIMARY KEY, t text GENERATED ALWAYS AS (now()::text) STORED)")
    assert "immutable" in without_rows(error)
    error = _error(database, "DO $$ BEGIN RAISE 'no' USING DETAIL = 'of the table', HINT = 'ask', COLUMN = 'c'; END $$")
    assert without_rows(error, hint=True) == "no [column c] (of the table). ask"


def test_what_an_event_trigger_says_is_told_whole(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY)",
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'not here' USING DETAIL = 'schemas are frozen', HINT = 'ask the owners'; END $$",
        "CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION no()",
    )
    with pytest.MonkeyPatch.context() as patched:
        # As every role that may not switch event triggers off
        patched.setattr(connection, "query", lambda _name: SQL("SELECT 1"))
        found = only(database.check({"t": ["id"]}).blockers, "event_trigger_refuses")
    assert "not here (schemas are frozen). ask the owners" in found.message
