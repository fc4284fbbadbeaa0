"""The statements of the swap, composed before the lock is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql

from replank.table_spec import Relation, TableSpec
from sql.autovacuum import autovacuum_statement
from sql.connection import Connection, row, rows
from sql.named import query
from sql.next_table import live_table, next_table, past_table, server_text
from sql.on_update import moved_on_update

ENABLED = {"D": "DISABLE TRIGGER", "R": "ENABLE REPLICA TRIGGER", "A": "ENABLE ALWAYS TRIGGER"}


def swap_script(
    connection: Connection,
    specs: Sequence[TableSpec],
    foreign_keys: Sequence[Mapping[str, Any]],
    autovacuum_before: Mapping[str, str | None],
) -> sql.Composable:
    """live → past, next → live, and everything that hangs on the tables as it was.

    `autovacuum_before` holds each heap's own autovacuum_enabled by oid, None where unset.
    """
    relations = [relation for spec in specs for relation in spec.relations]
    members = {(relation.schema, relation.name) for relation in relations}
    statements = _drop_border_keys(foreign_keys, members)
    before: list[sql.Composable] = []
    after: list[sql.Composable] = []
    for relation in relations:
        detached, attached = _sequences(connection, relation)
        before += detached
        after += [*attached, *_late_checks(connection, relation), *_triggers(connection, relation)]
    for heap in (heap for spec in specs for heap in spec.heaps):
        # Filling switched it off for the next table, the cutover for the live one.
        setting = autovacuum_before.get(str(heap.oid))
        after += [autovacuum_statement(table(heap), setting) for table in (live_table, past_table)]
    after += [moved for spec in specs for moved in moved_on_update(spec)]
    statements += before
    statements += [_moved(live_table(relation), relation.past_schema) for relation in relations]
    statements += [_moved(next_table(relation), relation.schema) for relation in relations]
    statements += after
    statements += _add_keys(foreign_keys)
    return sql.SQL(";\n").join(statements)


def _moved(table: sql.Identifier, schema: str) -> sql.Composable:
    return sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table, sql.Identifier(schema))


def _drop_border_keys(foreign_keys: Sequence[Mapping[str, Any]], members: set[tuple[str, str]]) -> list[sql.Composable]:
    """Keys between the set and tables outside: the past table must neither hold nor be held by them."""
    return [
        sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
            sql.Identifier(key["schema"], key["table_name"]), sql.Identifier(key["name"])
        )
        for key in foreign_keys
        if not ((key["schema"], key["table_name"]) in members and (key["ref_schema"], key["ref_table"]) in members)
    ]


def _add_keys(foreign_keys: Sequence[Mapping[str, Any]]) -> list[sql.Composable]:
    """Every key again, NOT VALID: validation reads whole tables and comes after the lock."""
    added: list[sql.Composable] = []
    for key in foreign_keys:
        table, name = sql.Identifier(key["schema"], key["table_name"]), sql.Identifier(key["name"])
        late = sql.SQL("" if not key["validated"] else " NOT VALID")
        added.append(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}{}").format(table, name, server_text(key["definition"]), late)
        )
        if key["comment"] is not None:
            added.append(sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(name, table, key["comment"]))
    return added


def _sequences(connection: Connection, spec: Relation) -> tuple[list[sql.Composable], list[sql.Composable]]:
    """A serial's sequence changes its owner; an identity's gets the old one's place and name.

    An owned sequence follows its table into another schema, so it is let go first.
    """
    before: list[sql.Composable] = []
    after: list[sql.Composable] = []
    for sequence in rows(connection, query("cutover.sequences"), {"oid": spec.oid}):
        name = sql.Identifier(sequence["schema"], sequence["name"])
        column = sql.Identifier(spec.schema, spec.name, sequence["column"])
        if not sequence["identity"]:
            before.append(sql.SQL("ALTER SEQUENCE {} OWNED BY NONE").format(name))
            after.append(sql.SQL("ALTER SEQUENCE {} OWNED BY {}").format(name, column))
            continue
        new = row(
            connection,
            query("cutover.next_sequence"),
            {"schema": spec.next_schema, "table": spec.name, "column": sequence["column"]},
        )
        assert new is not None
        moved, past = (
            sql.Identifier(spec.schema, new["name"]),
            sql.Identifier(spec.past_schema, sequence["name"]),
        )
        after.append(
            sql.SQL("SELECT setval({}::regclass, last_value, is_called) FROM {}").format(
                moved.as_string(connection), past
            )
        )
        if new["name"] != sequence["name"]:
            after.append(sql.SQL("ALTER SEQUENCE {} RENAME TO {}").format(moved, sql.Identifier(sequence["name"])))
    return before, after


def _late_checks(connection: Connection, spec: Relation) -> list[sql.Composable]:
    """CHECKs that old rows may break come only now, as they were: NOT VALID. A parent's come with it."""
    made: list[sql.Composable] = []
    found = rows(connection, query("next_table.unvalidated_checks"), {"oid": spec.oid})
    for check in (check for check in found if not check["inherited"]):
        name = sql.Identifier(check["name"])
        made.append(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                live_table(spec), name, server_text(check["definition"])
            )
        )
        if check["comment"] is not None:
            made.append(
                sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(name, live_table(spec), check["comment"])
            )
    return made


def _triggers(connection: Connection, spec: Relation) -> list[sql.Composable]:
    """The user's triggers fire only from now on: filling the next table must not fire them."""
    made: list[sql.Composable] = []
    for trigger in rows(connection, query("cutover.triggers"), {"oid": spec.oid}):
        name = sql.Identifier(trigger["name"])
        made.append(server_text(trigger["definition"]))
        if trigger["enabled"] in ENABLED:
            made.append(
                sql.SQL("ALTER TABLE {} {} {}").format(live_table(spec), server_text(ENABLED[trigger["enabled"]]), name)
            )
        if trigger["comment"] is not None:
            made.append(sql.SQL("COMMENT ON TRIGGER {} ON {} IS {}").format(name, live_table(spec), trigger["comment"]))
    for copied in rows(connection, query("cutover.other_states"), {"oid": spec.oid}):
        state = server_text(ENABLED.get(copied["enabled"], "ENABLE TRIGGER"))
        made.append(sql.SQL("ALTER TABLE {} {} {}").format(live_table(spec), state, sql.Identifier(copied["name"])))
    return made
