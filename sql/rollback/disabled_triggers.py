"""Triggers and rules of the past tables: disabled while a rollback drains into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import Relation
from sql.session.connection import Connection, rows, run
from sql.session.named_queries import query
from sql.session.table_names import server_text
from sql.swap.moved_dependents import home

HOW = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


def disable_triggers(connection: Connection, relations: Iterable[Relation]) -> list[dict[str, str]]:
    """Switch off what fires on these past relations, each partition for itself. Returns what that was, and how."""
    found = rows(connection, query("swap_back.firing_triggers"), {"oids": [relation.oid for relation in relations]})
    for statement in disable_statements(found):
        run(connection, statement)
    return found


def disable_statements(firing: Sequence[Mapping[str, str]]) -> list[Composable]:
    """While the past relations are in the schema of past tables."""
    return [
        SQL("ALTER TABLE ONLY {} DISABLE {} {}").format(
            Identifier(each["schema"], each["name"]), server_text(each["kind"]), Identifier(each["object"])
        )
        for each in firing
    ]


def enable_triggers_of_past(disabled_triggers: Sequence[Mapping[str, str]]) -> list[Composable]:
    """When the past relations have their places again."""
    return [
        SQL("ALTER TABLE ONLY {} {} {} {}").format(
            Identifier(home(each["schema"]), each["name"]),
            server_text(HOW[each["enabled"]]),
            server_text(each["kind"]),
            Identifier(each["object"]),
        )
        for each in disabled_triggers
    ]
