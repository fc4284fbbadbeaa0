"""The judge of these tests: plain SQL that shares nothing with the product."""

from collections.abc import Collection, Mapping
from typing import LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

Name = tuple[str, str]


def live(name: str, schema: str = "public") -> Name:
    return (schema, name)


def past(name: str, schema: str = "public") -> Name:
    return ("replank_past" if schema == "public" else f"replank_past_{schema}", name)


def built(name: str, schema: str = "public") -> Name:
    """The next table, while it is being built."""
    return ("replank_next" if schema == "public" else f"replank_next_{schema}", name)


def differences(
    connection: psycopg.Connection,
    before: Name,
    after: Name,
    converted: Collection[str] | Mapping[str, str],
    *,
    without: Collection[str] = (),
    where: LiteralString = "true",
) -> list[tuple[str, str]]:
    """Every row that stands on one side only: (side, row), as multisets, by the text of each value.

    `before` has texts where `after` has uuids (or the types given by name), in the columns `converted`. Columns of
    `without` are not looked at, and only rows `where` that holds.
    """
    types = converted if isinstance(converted, Mapping) else dict.fromkeys(converted, "uuid")
    names = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attname",
        before,
    ).fetchall()
    were = SQL(", ").join(
        SQL("{}::text::{}").format(Identifier(name), Identifier("pg_catalog", types[name].replace("uuid[]", "_uuid")))
        if name in types
        else SQL("{}").format(Identifier(name))
        for (name,) in names
        if name not in without
    )
    are = SQL(", ").join(Identifier(name) for (name,) in names if name not in without)
    found = connection.execute(
        SQL(
            "WITH b AS (SELECT ROW({were})::text AS r FROM {before} WHERE {where}),"
            " a AS (SELECT ROW({are})::text AS r FROM {after} WHERE {where})"
            " SELECT 'before', r FROM (SELECT r FROM b EXCEPT ALL SELECT r FROM a) AS x"
            " UNION ALL SELECT 'after', r FROM (SELECT r FROM a EXCEPT ALL SELECT r FROM b) AS x"
        ).format(
            were=were,
            before=Identifier(*before),
            are=are,
            after=Identifier(*after),
            where=SQL(where),
        )
    )
    return [(side, row) for side, row in found.fetchall()]


def count(connection: psycopg.Connection, name: Name) -> int:
    found = connection.execute(SQL("SELECT count(*) FROM {}").format(Identifier(*name))).fetchone()
    assert found is not None
    return int(found[0])


def one(connection: psycopg.Connection, query: str, *values: object) -> object:
    """The first column of the first row."""
    found = connection.execute(query.encode(), values or None).fetchone()
    assert found is not None, query
    return found[0]


def on(connection: psycopg.Connection, name: str | Name, statement: str, *values: object) -> None:
    """Execute a statement in which `{t}` stands for the table `name`."""
    parts = (name,) if isinstance(name, str) else name
    connection.execute(SQL(statement).format(t=Identifier(*parts)), values or None)


def column_type(connection: psycopg.Connection, name: Name, column: str) -> str:
    """As `format_type` spells it."""
    return str(
        one(
            connection,
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND attname = %s",
            *name,
            column,
        )
    )


def traces(connection: psycopg.Connection) -> list[str]:
    """What Replank has left in the database beside the past tables and what captures for them."""
    found = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%' AND nspname NOT LIKE 'replank\\_past%'"
        " UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'replank%'"
        " AND tgname NOT LIKE 'replank\\_capture\\_back\\_%' ORDER BY 1"
    )
    return [name for (name,) in found]
