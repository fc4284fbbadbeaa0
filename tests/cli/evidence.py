"""What a command changed, or left alone: catalogue, rows, and anything of Replank's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier
from support.oracles.journal_oracle import snapshot_catalogue
from support.runs.processes import Finished

OWN_SCHEMAS = ("replank", "replank_next", "replank_past")

_TRACES = """
SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'replank%'
UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE proname LIKE '%replank%' OR prosrc LIKE '%replank%'
UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgname LIKE '%replank%'
UNION ALL SELECT 'relation ' || relname FROM pg_class WHERE relname LIKE '%replank%'
UNION ALL SELECT 'session ' || application_name FROM pg_stat_activity
           WHERE datname = current_database() AND application_name LIKE 'replank%'
UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = current_database()
"""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A database at one moment. `rows` is a checksum of each table of the schema `public`."""

    catalogue: Mapping[str, str]
    rows: Mapping[str, str]


def look(url: str) -> Evidence:
    """Everything that must be equal afterwards where a command has to leave the tables alone."""
    return Evidence(catalogue=snapshot_catalogue(url, ["public", *OWN_SCHEMAS]), rows=_checksums(url))


def _checksums(url: str) -> dict[str, str]:
    sums: dict[str, str] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        named = connection.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        for (table,) in named.fetchall():
            statement = SQL("SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM {} AS t")
            found = connection.execute(statement.format(Identifier("public", table))).fetchone()
            assert found is not None
            sums[table] = str(found[0])
    return sums


def traces(url: str) -> list[str]:
    """Every object and session of Replank's in this database; empty where it left nothing."""
    with psycopg.connect(url, autocommit=True) as connection:
        return sorted(str(name) for (name,) in connection.execute(_TRACES))


def id_types(url: str) -> dict[str, str]:
    """`table.column` -> type, of the columns of `public` that hold ids."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name ~ '(^|_)id$' ORDER BY 1"
        )
        return {str(column): str(type_) for column, type_ in found}


def refused(finished: Finished, *words: str, exit_code: int) -> None:
    """It ended with this code, said all of `words` to people, and to programs, if anything, that it failed."""
    said = " ".join(finished.stderr.split())
    assert finished.exit_code == exit_code, finished.stderr
    assert "Traceback" not in said
    assert [missing for missing in words if missing not in said] == [], finished.stderr
    if finished.stdout:
        assert set(json.loads(finished.stdout)) == {"error", "hint"}


def document_of(finished: Finished) -> object:
    """The JSON that is all of its standard output, on one line."""
    assert finished.stdout.count("\n") == 1, finished.stdout
    assert finished.stdout.endswith("\n")
    return finished.document
