"""Building the next table: the final shape, beside the live one, without indexes.

Definitions are never rewritten as text. `LIKE` copies the columns, PostgreSQL itself changes the types
of the empty table, and every other definition is asked of the server and executed where a search_path
makes it mean the next table. A partitioned table is built with all its partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from psycopg import sql

from replank.errors import NeedsPerson
from replank.table_spec import ColumnSpec, Layout, PartitionSpec, Relation, TableSpec
from sql.access import make_schema
from sql.catalogue import LiveTable, read_tables
from sql.connection import Connection, rows, value
from sql.conversion import type_name
from sql.enum_checks import EnumCheck, enum_checks, next_check
from sql.enum_texts import enum_default
from sql.heirs import create_heir
from sql.named import query

KNOWN_DEFAULTS = {
    "(gen_random_uuid())::text": "pg_catalog.gen_random_uuid()",
    "(uuidv7())::text": "pg_catalog.uuidv7()",
    "(uuidv4())::text": "pg_catalog.uuidv4()",
    "'{}'::text[]": "'{}'::pg_catalog.uuid[]",
    "'{}'::character varying[]": "'{}'::pg_catalog.uuid[]",
    "ARRAY[]::text[]": "ARRAY[]::pg_catalog.uuid[]",
    "ARRAY[]::character varying[]": "ARRAY[]::pg_catalog.uuid[]",
}
"""Generators and empty arrays whose detour over text is dropped; every other default is cast as a whole."""

AnyRelation = TypeVar("AnyRelation", bound=Relation)

OF_HEAPS = (10, 11)
"""Numbers of the dressing's statements that a partitioned table does not understand: its partitions get them."""

OF_ROOTS = (16, 30, 31, 32, 33, 40, 41, 42, 43)
"""Those for comments, grants and sequences: they stand on the partitioned table only."""


def next_table(relation: Relation) -> sql.Identifier:
    return sql.Identifier(relation.next_schema, relation.name)


def next_rows(spec: TableSpec) -> sql.Composable:
    """The next table in a FROM clause, called `next`; inheritance children are not part of it."""
    return sql.SQL("{}{} AS next").format(sql.SQL("" if spec.next_partitioned else "ONLY "), next_table(spec))


def live_table(relation: Relation) -> sql.Identifier:
    return sql.Identifier(relation.schema, relation.name)


def past_table(relation: Relation) -> sql.Identifier:
    return sql.Identifier(relation.past_schema, relation.name)


def still_there(connection: Connection, relations: Sequence[AnyRelation]) -> list[AnyRelation]:
    """Those that have neither been dropped nor renamed, nor been replaced by another of their name."""
    found = {(t.oid, t.schema, t.name) for t in read_tables(connection, [r.oid for r in relations])}
    return [relation for relation in relations if (relation.oid, relation.schema, relation.name) in found]


def server_text(text: str) -> sql.SQL:
    """SQL that the server wrote (`pg_get_…def`, `format`): quoted there, executed here."""
    return sql.SQL(text)


def create_next(connection: Connection, spec: TableSpec) -> None:
    """Create the next table, empty. Runs in the caller's transaction; only ACCESS SHARE on the live one.

    Raises NeedsPerson if the live table, one of its columns or of its partitions is gone.
    """
    if spec.layout is None:
        _create_like_live(connection, spec)
    else:
        _create_laid_out(connection, spec, spec.layout)
    for heap in spec.next_heaps:
        # While it is filled, autovacuum would only get in the way of the index jobs' locks.
        connection.execute(sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = false)").format(next_table(heap)))


def _create_like_live(connection: Connection, spec: TableSpec) -> None:
    """The next table with the live one's partitions, at any depth."""
    lives = {live.oid: live for live in read_tables(connection, [relation.oid for relation in spec.relations])}
    for schema in sorted({relation.next_schema for relation in spec.relations}):
        make_schema(connection, schema)
    by_oid = {relation.oid: relation for relation in spec.relations}
    for relation in spec.relations:
        if relation.oid not in lives:
            raise NeedsPerson(f"{relation.full_name} is gone. `replank rollback`, correct the plan, and run again.")
        _create_relation(connection, spec, relation, lives[relation.oid])
        if isinstance(relation, PartitionSpec):
            connection.execute(
                sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(
                    next_table(by_oid[relation.parent]), next_table(relation), server_text(relation.bound)
                )
            )
        for statement in dressing(connection, relation):
            connection.execute(server_text(statement))


def _create_laid_out(connection: Connection, spec: TableSpec, layout: Layout) -> None:
    """The next table with partitions of its own, or with none: all are made like the live table."""
    found = read_tables(connection, [spec.oid])
    if not found:
        raise NeedsPerson(f"{spec.full_name} is gone. `replank rollback`, correct the plan, and run again.")
    make_schema(connection, spec.next_schema)
    _create_relation(connection, spec, spec, found[0])
    for statement in dressing(connection, spec, without=OF_HEAPS if layout.partitions else ()):
        connection.execute(server_text(statement))
    stored = sql.SQL("")
    method = value(connection, query("next_table.access_method"), {"oid": spec.oid})
    if method is not None:
        stored = sql.SQL("USING {}").format(sql.Identifier(method))  # type: ignore[assignment]
    for partition in layout.partitions:
        connection.execute(
            sql.SQL("CREATE TABLE {} PARTITION OF {} {} {}").format(
                next_table(partition), next_table(spec), server_text(partition.bound), stored
            )
        )
        for statement in dressing(connection, partition, without=OF_ROOTS):
            connection.execute(server_text(statement))


def _create_relation(connection: Connection, spec: TableSpec, relation: Relation, live: LiveTable) -> None:
    """One relation with its converted columns. Partitions have no identity of their own."""
    by = relation.partitioned_by if isinstance(relation, (TableSpec, PartitionSpec)) else ""
    if spec.layout is not None:
        by = spec.layout.partitioned_by
    identity = sql.SQL("INCLUDING IDENTITY" if relation is spec else "")
    if not by:
        stored: sql.Composable = sql.SQL("")
        method = value(connection, query("next_table.access_method"), {"oid": relation.oid})
        if method is not None:
            stored = sql.SQL("USING {}").format(sql.Identifier(method))
        if live.is_heir:
            _create_heir(connection, spec, live, stored)
            return
        _like(connection, next_table(relation), live_table(relation), identity, stored)
        _convert(connection, spec, relation, live, next_table(relation))
        return
    # The type of a column that the partition key uses cannot be changed: so the types come before the key.
    # Its name is the table's own: constraints that PostgreSQL names by itself are named after it.
    template = sql.Identifier("pg_temp", relation.name)
    _like(connection, template, live_table(relation), identity, sql.SQL(""), temporary=True)
    _convert(connection, spec, relation, live, template)
    _like(connection, next_table(relation), template, identity, sql.SQL("PARTITION BY {}").format(server_text(by)))
    connection.execute(sql.SQL("DROP TABLE {}").format(template))


def _create_heir(connection: Connection, spec: TableSpec, live: LiveTable, stored: sql.Composable) -> None:
    """A child in classic inheritance. Its parents' next tables need not be there yet."""
    # Constraints that PostgreSQL names by itself are named after the table, so the stub is made of a template.
    template, stub = sql.Identifier("pg_temp", spec.name), sql.Identifier(spec.next_schema, spec.stub_name)
    _like(connection, template, live_table(spec), sql.SQL(""), sql.SQL(""), temporary=True)
    _convert(connection, spec, spec, live, template)
    _like(connection, stub, template, sql.SQL(""), sql.SQL(""))
    connection.execute(sql.SQL("DROP TABLE {}").format(template))
    create_heir(connection, next_table(spec), stub, live_oid=spec.oid, stored=stored)


def _like(
    connection: Connection,
    made: sql.Identifier,
    like: sql.Identifier,
    identity: sql.Composable,
    stored: sql.Composable,
    *,
    temporary: bool = False,
) -> None:
    kind = sql.SQL("TEMPORARY TABLE" if temporary else "TABLE")
    connection.execute(
        query("next_table.create_next").format(kind=kind, next=made, live=like, identity=identity, stored=stored)
    )


def _convert(
    connection: Connection, spec: TableSpec, relation: Relation, live: LiveTable, table: sql.Identifier
) -> None:
    """Give an empty copy of a live relation its next types; CHECKs that rows may break come after the swap."""
    for check in rows(connection, query("next_table.unvalidated_checks"), {"oid": relation.oid}):
        connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table, sql.Identifier(check["name"])))
    late: list[EnumCheck] = []
    for known in enum_checks(connection, relation.oid, spec.columns):
        if known.valid:
            gone = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
            connection.execute(gone.format(table, sql.Identifier(known.name)))
            late.append(known)
    actions: list[sql.Composable] = []
    for column in spec.columns:
        found = live.column(column.name)
        if found is None and not column.added:
            raise NeedsPerson(f"{relation.full_name}.{column.name} is gone. Correct the plan, then run again.")
        # A converted column leaves its domain, and takes the domain's default along.
        default = None if found is None else found.present_default if column.converted else found.default_expr
        if column.converted and default is not None:
            # A default is never cast automatically: it goes first and comes back after the type.
            name = sql.Identifier(column.name)
            connection.execute(sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT").format(table, name))
        actions += _changes(column, default)
    if actions:
        connection.execute(sql.SQL("ALTER TABLE {} {}").format(table, sql.SQL(", ").join(actions)))
    for known in late:
        _say_of_enum(connection, spec, table, known)


def _say_of_enum(connection: Connection, spec: TableSpec, table: sql.Identifier, check: EnumCheck) -> None:
    """A CHECK over texts comes back over values, or goes by consent. Raises NeedsPerson without that."""
    definition = next_check(spec, check)
    if definition is None:
        return
    name = sql.Identifier(check.name)
    connection.execute(sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(table, name, definition))
    if check.comment is not None:
        connection.execute(sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(name, table, check.comment))


def _changes(column: ColumnSpec, default: str | None) -> list[sql.Composable]:
    """The actions of ALTER TABLE that make a column of the live table's copy the next one."""
    name, new_type = sql.Identifier(column.name), type_name(column.next_type)
    made: list[sql.Composable] = []
    if column.added:
        default_given = sql.SQL("DEFAULT {}").format(server_text(column.default)) if column.default else sql.SQL("")
        not_null = sql.SQL("NOT NULL" if column.not_null else "")
        return [sql.SQL("ADD COLUMN {} {} {} {}").format(name, new_type, default_given, not_null)]
    if column.converted:
        # The table is empty: no value has to be right.
        made.append(sql.SQL("ALTER COLUMN {0} TYPE {1} USING {0}::pg_catalog.text::{1}").format(name, new_type))
    if column.default:
        made.append(sql.SQL("ALTER COLUMN {} SET DEFAULT {}").format(name, server_text(column.default)))
    elif column.converted and default is not None:
        made.append(sql.SQL("ALTER COLUMN {} SET DEFAULT {}").format(name, column_default(column, default)))
    if column.not_null:
        made.append(sql.SQL("ALTER COLUMN {} SET NOT NULL").format(name))
    return made


def column_default(column: ColumnSpec, default: str) -> sql.Composable:
    """A live default expression (as the server spells it) as the next one of a converted column."""
    return enum_default(column, default) if column.enum else next_default(default, column.next_type)


def next_default(default: str, next_type: str) -> sql.Composable:
    """A live default expression (as the server spells it) for the converted column."""
    known = KNOWN_DEFAULTS.get(default)
    if known is not None:
        return server_text(known)
    return sql.SQL("({})::pg_catalog.text::{}").format(server_text(default), type_name(next_type))


def dressing(connection: Connection, relation: Relation, *, without: Sequence[int] = ()) -> list[str]:
    """Statements that give the next relation what LIKE leaves out. The next relation must exist."""
    targets = query("next_table.dressing_targets")
    named = {"oid": relation.oid, "schema": relation.next_schema, "name": relation.name}
    found = rows(connection, targets + query("next_table.dressing"), named)
    # A grant may stand on another's grant option, whatever either is for: they come last, in their own order.
    found += rows(connection, targets + query("next_table.granting"), named)
    return [r["statement"] for r in found if r["n"] not in without]
