"""The statements of the swap, composed before the lock is taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from replank.table_spec import Relation, TableSpec
from sql.autovacuum import autovacuum_statement
from sql.beside import moved_views
from sql.connection import Connection, row, rows
from sql.dependents import Dependents, put_in, taken_out
from sql.enum_checks import enum_checks, next_check
from sql.extended_statistics import moved_statistics
from sql.foreign_keys import add_keys, drop_border_keys
from sql.inheritance import children_first, stubs_removed
from sql.named import query
from sql.next_table import live_table, next_table, past_table, server_text
from sql.on_update import moved_on_update

ENABLED = {"D": "DISABLE TRIGGER", "R": "ENABLE REPLICA TRIGGER", "A": "ENABLE ALWAYS TRIGGER"}


def swap_script(
    connection: Connection,
    specs: Sequence[TableSpec],
    foreign_keys: Sequence[Mapping[str, Any]],
    autovacuum_before: Mapping[str, str | None],
    dependents: Dependents,
) -> sql.Composable:
    """live → past, next → live, and everything that hangs on the tables as it was.

    `autovacuum_before` holds each heap's own autovacuum_enabled by oid, None where unset.
    """
    relations = [relation for spec in specs for relation in spec.relations]
    members = {(relation.schema, relation.name) for relation in relations}
    statements = drop_border_keys(foreign_keys, members)
    before: list[sql.Composable] = []
    after: list[sql.Composable] = []
    # Where there are other partitions, nothing belongs to a single one: `check` has seen to that.
    ordered = children_first(connection, specs)
    for spec, relation in ((s, r) for s in ordered for r in (s.relations if s.layout is None else (s,))):
        detached, attached = carried_sequences(
            connection, relation, built_in=relation.next_schema, gone_to=relation.past_schema
        )
        before += detached
        after += [*attached, *_late_checks(connection, spec, relation), *_triggers(connection, relation)]
    after += [comment for spec in ordered if spec.kin for comment in _late_comments(connection, spec)]
    after += stubs_removed(connection, specs)
    # Filling switched autovacuum off for the next tables, the cutover for the live ones.
    heaps = [(live_table(heap), heap) for spec in specs for heap in spec.next_heaps]
    heaps += [(past_table(heap), heap) for spec in specs for heap in spec.heaps]
    after += [autovacuum_statement(table, autovacuum_before.get(str(heap.oid))) for table, heap in heaps]
    after += [statement for spec in specs for statement in moved_on_update(spec)]
    statements += before
    statements += taken_out(connection, dependents)
    statements += [moved(live_table(relation), relation.past_schema) for relation in relations]
    statements += [moved(next_table(r), r.schema) for spec in specs for r in spec.next_relations]
    statements += moved_views(dependents.views)
    statements += moved_statistics(connection, dependents.succeeded)
    statements += after
    statements += put_in(connection, dependents)
    statements += add_keys(connection, foreign_keys, specs)
    return sql.SQL(";\n").join(statements)


def moved(table: sql.Identifier, schema: str) -> sql.Composable:
    return sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table, sql.Identifier(schema))


def carried_sequences(
    connection: Connection, spec: Relation, *, built_in: str, gone_to: str, named_alike: bool = False
) -> tuple[list[sql.Composable], list[sql.Composable]]:
    """A serial's sequence changes its owner; an identity's gets the old one's place and name, and goes on counting.

    `spec` goes to the schema `gone_to`, what takes its place comes from `built_in`. An owned sequence follows its
    table into another schema, so it is let go first. `named_alike` says that what takes the place of an identity's
    sequence has its name, and need not be there yet.
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
        wanted = {"schema": built_in, "table": spec.name, "column": sequence["column"]}
        new = sequence if named_alike else row(connection, query("cutover.next_sequence"), wanted)
        assert new is not None
        moved, past = (
            sql.Identifier(spec.schema, new["name"]),
            sql.Identifier(gone_to, sequence["name"]),
        )
        after.append(
            sql.SQL("SELECT setval({}::regclass, last_value, is_called) FROM {}").format(
                moved.as_string(connection), past
            )
        )
        if new["name"] != sequence["name"]:
            after.append(sql.SQL("ALTER SEQUENCE {} RENAME TO {}").format(moved, sql.Identifier(sequence["name"])))
    return before, after


def _late_checks(connection: Connection, spec: TableSpec, relation: Relation) -> list[sql.Composable]:
    """CHECKs that old rows may break come only now, as they were: NOT VALID. A parent's come with it.

    In classic inheritance a child may have declared one of its parent's itself: then the parent's meets it.
    """
    made: list[sql.Composable] = []
    kin = relation is spec and spec.kin
    for check, definition in _unvalidated(connection, spec, relation):
        if check["inherited"] and not (kin and check["local"]):
            continue
        name = sql.Identifier(check["name"])
        made.append(sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(live_table(relation), name, definition))
        if check["comment"] is not None and not kin:
            made.append(_comment_on(relation, check))
    return made


def _unvalidated(
    connection: Connection, spec: TableSpec, relation: Relation
) -> Iterator[tuple[Mapping[str, Any], sql.Composable]]:
    """Each with its definition on the next table; one that goes by consent is left out."""
    over_enums = {check.name: check for check in enum_checks(connection, relation.oid, spec.columns)}
    for check in rows(connection, query("next_table.unvalidated_checks"), {"oid": relation.oid}):
        known = over_enums.get(check["name"])
        definition = server_text(check["definition"]) if known is None else next_check(spec, known)
        if definition is not None:
            yield check, definition


def _late_comments(connection: Connection, spec: TableSpec) -> list[sql.Composable]:
    """Of a family, when every table has its late CHECKs, its own and its parents'."""
    found = _unvalidated(connection, spec, spec)
    return [_comment_on(spec, check) for check, _ in found if check["comment"] is not None]


def _comment_on(spec: Relation, check: Mapping[str, Any]) -> sql.Composable:
    name = sql.Identifier(check["name"])
    return sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(name, live_table(spec), check["comment"])


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
