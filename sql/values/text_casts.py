"""Implicit casts from text to uuid, for clients that send ids as typed text parameters until they are changed.

`uuid = text` has no operator; with these casts PostgreSQL reads the parameter as a uuid, and indexes are used. They
hold for the whole database, so a plan has to ask for them, and they go when the run's last trace goes.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Identifier

from sql.session.connection import Connection, rows, run
from sql.session.named_queries import query
from sql.session.statements import Statement

MARK = "made by Replank, for clients that send ids as text"
"""The casts' comment: only what has it is removed."""


def create_text_casts(connection: Connection) -> Iterator[Statement]:
    """Those of text and varchar that are not there, for the inside of a transaction.

    Needs a superuser: a cast is made by the owner of one of its types.
    """
    missing = [found["name"] for found in rows(connection, query("text_casts.present")) if found["comment"] is None]
    for name in missing:
        types = SQL("pg_catalog.{} AS pg_catalog.uuid").format(Identifier(name))
        yield Statement(sql=SQL("CREATE CAST ({}) WITH INOUT AS IMPLICIT").format(types))
        yield Statement(sql=SQL("COMMENT ON CAST ({}) IS {}").format(types, MARK))


def text_casts(connection: Connection) -> list[str]:
    """The types from which Replank's own casts lead."""
    return [found["name"] for found in rows(connection, query("text_casts.present")) if found["comment"] == MARK]


def remove_text_casts(connection: Connection) -> list[str]:
    """Those that Replank made, and no others. Returns the types they led from."""
    made = text_casts(connection)
    for name in made:
        cast = SQL("DROP CAST (pg_catalog.{} AS pg_catalog.uuid)").format(Identifier(name))
        run(connection, cast)
    return made
