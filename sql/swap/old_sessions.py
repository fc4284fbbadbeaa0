"""Sessions that are older than the swap: what they remember of the tables, and what can be done about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from psycopg.sql import Composable

from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.table_names import server_text


def recompiled(connection: Connection, names: Sequence[str], *, without: Collection[int]) -> list[Composable]:
    """Statements that let every session compile PL/pgSQL functions again that use one of these relations.

    A session keeps a function as it compiled it, with the types of that time: `type of parameter 4 (uuid) does not
    match that when preparing the plan (text)`, for as long as it lives. It looks whether the function's catalogue
    row is still the same; saying once more what holds already writes a new one. Functions that name such a function
    are taken too. `without` holds oids of functions that are created again anyway.
    """
    found = rows(connection, query("cutover.functions_compiled"), {"names": list(names)})
    return [server_text(function["statement"]) for function in found if function["oid"] not in without]


def older_sessions(connection: Connection) -> str:
    """Other sessions of this database by application, for people: `web (12), worker (3)`. Empty if there are none."""
    found = rows(connection, query("cutover.older_sessions"))
    return ", ".join(f"{session['application']} ({session['sessions']})" for session in found)
