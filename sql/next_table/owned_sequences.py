"""Sequences that columns own: they continue on the table that replaces theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import Relation
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query


def carried_sequences(
    connection: Connection,
    spec: Relation,
    *,
    built_in: str,
    gone_to: str,
    named_alike: bool = False,
    stand_ins: bool = False,
) -> tuple[list[Composable], list[Composable]]:
    """A serial's sequence changes its owner; an identity's gets the old one's place, name and next value.

    `spec` goes to the schema `gone_to`, what takes its place comes from `built_in`. An owned sequence follows its
    table into another schema, so it is let go first. `named_alike` says that what takes the place of an identity's
    sequence has its name, and need not be there yet. In a trial serials have
    `stand_ins`: no session may be kept from using the sequences themselves.
    """
    before: list[Composable] = []
    after: list[Composable] = []
    for sequence in rows(connection, query("cutover.sequences"), {"oid": spec.oid}):
        name = Identifier(sequence["schema"], sequence["name"])
        column = Identifier(spec.schema, spec.name, sequence["column"])
        if not sequence["identity"] and stand_ins:
            after += _stood_in(spec, sequence, column)
            continue
        if not sequence["identity"]:
            before.append(SQL("ALTER SEQUENCE {} OWNED BY NONE").format(name))
            after.append(SQL("ALTER SEQUENCE {} OWNED BY {}").format(name, column))
            continue
        wanted = {"schema": built_in, "table": spec.name, "column": sequence["column"]}
        new = sequence if named_alike else row(connection, query("cutover.next_sequence"), wanted)
        assert new is not None
        moved, past = (
            Identifier(spec.schema, new["name"]),
            Identifier(gone_to, sequence["name"]),
        )
        after.append(
            SQL("SELECT setval({}::regclass, last_value, is_called) FROM {}").format(moved.as_string(connection), past)
        )
        if new["name"] != sequence["name"]:
            after.append(SQL("ALTER SEQUENCE {} RENAME TO {}").format(moved, Identifier(sequence["name"])))
    return before, after


def _stood_in(spec: Relation, sequence: Mapping[str, Any], column: Identifier) -> list[Composable]:
    """A sequence of the same owner beside the next table: it is let go, and belongs to the column again."""
    name = Identifier(spec.schema, f"replank sequence {sequence['number']}")
    return [
        SQL("CREATE SEQUENCE {}").format(name),
        SQL("ALTER SEQUENCE {} OWNER TO {}").format(name, Identifier(sequence["owner"])),
        SQL("ALTER SEQUENCE {} OWNED BY NONE").format(name),
        SQL("ALTER SEQUENCE {} OWNED BY {}").format(name, column),
    ]
