"""Triggers and rules of the past tables: off while rows go back, because nobody writes those rows now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from psycopg import sql

from replank.table_spec import Relation
from sql.connection import Connection, rows, run
from sql.moving import home
from sql.named import query
from sql.next_table import server_text

HOW = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


def switch_off(connection: Connection, relations: Iterable[Relation]) -> list[dict[str, str]]:
    """Switch off what fires on these past relations, each partition for itself. Returns what that was, and how."""
    found = rows(connection, query("going_back.switched"), {"oids": [relation.oid for relation in relations]})
    for each in found:
        run(
            connection,
            sql.SQL("ALTER TABLE ONLY {} DISABLE {} {}").format(
                sql.Identifier(each["schema"], each["name"]), server_text(each["kind"]), sql.Identifier(each["object"])
            ),
        )
    return found


def switched_on_again(switched: Sequence[Mapping[str, str]]) -> list[sql.Composable]:
    """When the past relations have their places again."""
    return [
        sql.SQL("ALTER TABLE ONLY {} {} {} {}").format(
            sql.Identifier(home(each["schema"]), each["name"]),
            server_text(HOW[each["enabled"]]),
            server_text(each["kind"]),
            sql.Identifier(each["object"]),
        )
        for each in switched
    ]
