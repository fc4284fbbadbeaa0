"""What tests of the way back share: how to go back, and a judge in plain SQL that shares nothing with the product."""

from collections.abc import Collection, Mapping, Sequence

import psycopg
from psycopg.sql import SQL, Identifier

from producer.rollback.rollback import roll_back
from support.oracles.journal_oracle import snapshot_catalogue
from support.oracles.oracle import Name
from support.runs.harness import Rebuild

OWN = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%'"
OWN_TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgname LIKE '%replank%'"
# The ledger's own function goes with its schema; those of a run carry its number.
OWN_FUNCTIONS = (
    "SELECT proname FROM pg_proc WHERE prosrc LIKE '%replank%'"
    " AND NOT (pronamespace = coalesce(to_regnamespace('replank'), 0) AND proname !~ '[0-9]')"
)


def go_back(rebuild: Rebuild) -> list[str]:
    """What `replank rollback` does. Returns what it said."""
    said: list[str] = []
    roll_back(rebuild.connection, say=said.append, sleep=lambda _: None)
    return said


def everything_left(connection: psycopg.Connection) -> list[str]:
    """Every object of Replank's that is left."""
    return [name for query in (OWN, OWN_TRIGGERS, OWN_FUNCTIONS) for (name,) in connection.execute(query.encode())]


def catalogue(url: str, schemas: Sequence[str]) -> dict[str, str]:
    """All that the catalogue says of these schemas, but for the values of sequences."""
    found = snapshot_catalogue(url, schemas)
    return {name: said for name, said in found.items() if not name.startswith("sequence value")}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    return {
        name: (before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }


def keep(connection: psycopg.Connection, name: Name, kept: str) -> None:
    """A copy of a table as it stands now, in the schema `judge`."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS judge")
    statement = SQL("CREATE TABLE judge.{} AS SELECT * FROM {}")
    connection.execute(statement.format(Identifier(kept), Identifier(*name)))


def unlike(connection: psycopg.Connection, name: Name, kept: str, columns: Collection[str]) -> list[tuple[str, str]]:
    """Rows of `columns` (SQL over either side, alias `t`) that stand on one side only, as multisets."""
    wanted = SQL(", ").join(SQL(column) for column in columns)
    found = connection.execute(
        SQL(
            "WITH a AS (SELECT ROW({w})::text AS r FROM {now} AS t),"
            " b AS (SELECT ROW({w})::text AS r FROM judge.{k} AS t)"
            " SELECT 'now', r FROM (SELECT r FROM a EXCEPT ALL SELECT r FROM b) AS x"
            " UNION ALL SELECT 'kept', r FROM (SELECT r FROM b EXCEPT ALL SELECT r FROM a) AS x LIMIT 20"
        ).format(w=wanted, now=Identifier(*name), k=Identifier(kept))
    )
    return [(side, row) for side, row in found]
