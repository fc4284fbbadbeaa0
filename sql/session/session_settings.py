"""What every session of ours says before its first question, so that no statement means what a default says.

PostgreSQL takes a setting's default from the server, the database, the role, the role in this database and the URL, in
this order. What our statements depend on is set for each session; what a role may not set is checked, and refused
where it would let rows go unseen. docs/how-it-works.md has the whole list with its reasons.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Composed, Identifier

from replank.errors import WrongUse

SESSION: Mapping[str, str] = {
    # A transaction that is to see what was committed before its locks were granted must not have an older snapshot.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # Work may last for hours; each lock on a live table and each transaction that holds one has a limit of its own.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "60s",
    "idle_session_timeout": "0",
    # A bound of a chunk travels as text and must mean the same value in every session.
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    # How texts are read, and how a statement is.
    "array_nulls": "on",
    "xmloption": "content",
    "transform_null_equals": "off",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "quote_all_identifiers": "off",
    "search_path": "pg_catalog",
    # An error, where a policy would hide rows from us: they would be missing in the next table without any error.
    "row_security": "off",
    # Otherwise a GIN index gives a random part of the rows.
    "gin_fuzzy_search_limit": "0",
    "check_function_bodies": "on",
    "plpgsql.extra_errors": "none",
    # The ledger and the logs are plain heaps; a next table gets its live table's method by name.
    "default_table_access_method": "heap",
    "client_min_messages": "warning",
    # An error of one statement would end the session.
    "exit_on_error": "off",
    # Before version 18 a disabled plan node costs so much that even a lookup of ten keys would be compiled.
    "jit": "off",
}

NEWER: Mapping[str, str] = {
    "transaction_timeout": "0",  # From 17 on.
    "restrict_nonsystem_relation_kind": "",  # From 15.8, 16.4 and 17 on.
}
"""As SESSION, on servers that know them."""

GUARDED: Mapping[str, str] = {
    # As a replica, a session that writes the live table would fire no trigger and check no foreign key.
    "session_replication_role": "origin",
    # A page that cannot be read would look like an empty one: its rows would be missing in the next table.
    "zero_damaged_pages": "off",
    "ignore_checksum_failure": "off",
    "ignore_system_indexes": "off",
}
"""What not every role may set, and what it has to be."""

OF_VALUES = (
    "datestyle",
    "intervalstyle",
    "timezone",
    "extra_float_digits",
    "bytea_output",
    "xmlbinary",
    "array_nulls",
    "xmloption",
    "transform_null_equals",
)
"""Those that a value's text hangs on, or what a text means: a trigger of ours runs in the application's session."""

TRIES = 20
"""A statement_timeout may be so short that even the statement that takes it away is cancelled now and then."""


NOT_IN_SCRIPTS = (
    "statement_timeout",
    "lock_timeout",
    "search_path",
    "client_min_messages",
    "idle_in_transaction_session_timeout",
)
"""What a script says by itself, or leaves to psql."""

WHERE: Mapping[str, str] = {
    "database": "ALTER DATABASE … SET",
    "user": "ALTER ROLE … SET",
    "database user": "ALTER ROLE … IN DATABASE … SET",
    "global": "ALTER ROLE ALL … SET",
    "configuration file": "the server's configuration file",
    "client": "the URL or PGOPTIONS",
}
"""pg_settings.source in words."""


def set_session(connection: psycopg.Connection[TupleRow], settings: Mapping[str, str]) -> None:
    """Set SESSION and `settings` over it. The connection is in autocommit. Raises WrongUse, naming the setting."""
    _without_timeout(connection)
    asked = SQL(", ").join(SQL("pg_catalog.current_setting({})").format(name) for name in GUARDED)
    found = connection.execute(SQL("SELECT {}, {}").format(asked, _calls({**SESSION, **settings}))).fetchone()
    assert found is not None
    for (name, wanted), present in zip(GUARDED.items(), found, strict=False):
        if present != wanted:
            _correct(connection, name, wanted)


def pinned() -> Composed:
    """For CREATE FUNCTION: in it, values are what they are in our own sessions, whichever session calls it."""
    return SQL(" ").join(SQL("SET {} TO {}").format(SQL(name), SESSION[name]) for name in OF_VALUES)


def _without_timeout(connection: psycopg.Connection[TupleRow]) -> None:
    for _ in range(TRIES):
        try:
            connection.execute("SET statement_timeout = 0")
        except errors.QueryCanceled:
            continue
        return
    raise WrongUse(
        f"The server cancelled {TRIES} times a statement that does no work: its statement_timeout is too short for a "
        "session to begin. Set it higher for this role: ALTER ROLE … SET statement_timeout = '1s'."
    )


def _calls(settings: Mapping[str, str]) -> Composed:
    calls = [SQL("pg_catalog.set_config({}, {}, false)").format(name, value) for name, value in settings.items()]
    calls += [
        SQL(
            "CASE WHEN pg_catalog.current_setting({0}, true) IS NOT NULL"
            " THEN pg_catalog.set_config({0}, {1}, false) END"
        ).format(name, value)
        for name, value in NEWER.items()
        if name not in settings
    ]
    return SQL(", ").join(calls)


def _correct(connection: psycopg.Connection[TupleRow], name: str, wanted: str) -> None:
    asked = "SELECT setting, source FROM pg_catalog.pg_settings WHERE name = %s"
    found = connection.execute(asked, [name]).fetchone()
    assert found is not None
    try:
        connection.execute(SQL("SET {} TO {}").format(Identifier(name), wanted))
    except (errors.InsufficientPrivilege, errors.CantChangeRuntimeParam):
        raise WrongUse(_refused(name, wanted, *found)) from None


def _refused(name: str, wanted: str, present: str, source: str) -> str:
    return (
        f"The setting {name} is {present} here, set by {WHERE.get(source, source)}, and this role may not change it. "
        f"Set it to {wanted} there, or let a superuser GRANT SET ON PARAMETER {name} to this role, then try again."
    )


IN_SCRIPT = SQL("""\
{said}
DO $settings$
DECLARE
  replank_found text;
BEGIN
  PERFORM set_config(s.name, w.wanted, false) FROM (VALUES {newer}) AS w (name, wanted) JOIN pg_settings s USING (name);
  FOR replank_found IN SELECT s.name || ' is ' || s.setting || ', and has to be ' || w.wanted
    FROM (VALUES {guarded}) AS w (name, wanted) JOIN pg_settings s USING (name) WHERE s.setting <> w.wanted
  LOOP
    RAISE EXCEPTION USING MESSAGE = 'For this script, the setting ' || replank_found;
  END LOOP;
END
$settings$;""")


def script_settings() -> str:
    """The same for a script that psql runs. Ends it where a setting is what it must not be."""
    ours = ((name, value) for name, value in SESSION.items() if name not in NOT_IN_SCRIPTS)
    said = SQL("\n").join(SQL("SET {} TO {};").format(SQL(name), value) for name, value in ours)
    newer, guarded = (
        SQL(", ").join(SQL("({}, {})").format(name, value) for name, value in each.items()) for each in (NEWER, GUARDED)
    )
    return IN_SCRIPT.format(said=said, newer=newer, guarded=guarded).as_string(None)
