"""Building the next table: the final shape, beside the live one, without indexes.

Definitions are never rewritten as text. `LIKE` copies the columns, PostgreSQL itself changes the types
of the empty table, and every other definition is asked of the server and executed where a search_path
makes it mean the next table. A partitioned table is built with all its partitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg.sql import SQL, Composable, Identifier

from replank.errors import NeedsOperator
from replank.values.table_spec import ColumnSpec, Layout, PartitionSpec, Relation, TableSpec
from sql.access.readers import make_schema
from sql.catalogue.catalogue import LiveTable, read_tables
from sql.next_table.inheritance_child import create_inheritance_child
from sql.session.connection import Connection, rows, value
from sql.session.named_queries import query
from sql.session.statements import IN_PG_CATALOG, Statement
from sql.session.table_names import live_table, next_table, server_text
from sql.values.conversion import type_name
from sql.values.enum_checks import EnumCheck, enum_checks, next_check
from sql.values.enum_texts import enum_default

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


OF_HEAPS = (10, 11)
"""Numbers of the statements of `copy_options` that a partitioned table does not understand: its partitions get them."""

OF_ROOTS = (16, 30, 31, 32, 33, 40, 41, 42, 43)
"""Those for comments, grants and sequences: they stand on the partitioned table only."""


def create_next(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    """Create the next table, empty. For the inside of a transaction; only ACCESS SHARE on the live one.

    Raises NeedsOperator if the live table, one of its columns or of its partitions is gone.
    """
    if spec.layout is None:
        yield from _create_like_live(connection, spec)
    else:
        yield from _create_laid_out(connection, spec, spec.layout)
    for heap in spec.next_heaps:
        # While it is filled, autovacuum would only get in the way of the index jobs' locks.
        yield Statement(sql=SQL("ALTER TABLE {} SET (autovacuum_enabled = false)").format(next_table(heap)))


def _create_like_live(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    """The next table with the live one's partitions, at any depth."""
    lives = {live.oid: live for live in read_tables(connection, [relation.oid for relation in spec.relations])}
    for schema in sorted({relation.next_schema for relation in spec.relations}):
        yield from make_schema(connection, schema)
    by_oid = {relation.oid: relation for relation in spec.relations}
    for relation in spec.relations:
        if relation.oid not in lives:
            raise NeedsOperator(
                f"{relation.full_name} is gone. Run `replank rollback`, correct the plan, and run it again."
            )
        yield from _create_relation(connection, spec, relation, lives[relation.oid])
        if isinstance(relation, PartitionSpec):
            yield Statement(
                sql=SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(
                    next_table(by_oid[relation.parent]), next_table(relation), server_text(relation.bound)
                )
            )
        yield from copy_options(connection, relation)


def _create_laid_out(connection: Connection, spec: TableSpec, layout: Layout) -> Iterator[Statement]:
    """The next table with partitions of its own, or with none: all are made like the live table."""
    found = read_tables(connection, [spec.oid])
    if not found:
        raise NeedsOperator(f"{spec.full_name} is gone. Run `replank rollback`, correct the plan, and run it again.")
    yield from make_schema(connection, spec.next_schema)
    yield from _create_relation(connection, spec, spec, found[0])
    yield from copy_options(connection, spec, without=OF_HEAPS if layout.partitions else ())
    stored = SQL("")
    method = value(connection, query("next_table.access_method"), {"oid": spec.oid})
    if method is not None:
        stored = SQL("USING {}").format(Identifier(method))  # type: ignore[assignment]
    for partition in layout.partitions:
        yield Statement(
            sql=SQL("CREATE TABLE {} PARTITION OF {} {} {}").format(
                next_table(partition), next_table(spec), server_text(partition.bound), stored
            )
        )
        yield from copy_options(connection, partition, without=OF_ROOTS)


def _create_relation(
    connection: Connection, spec: TableSpec, relation: Relation, live: LiveTable
) -> Iterator[Statement]:
    """One relation with its converted columns. Partitions have no identity of their own."""
    by = relation.partitioned_by if isinstance(relation, (TableSpec, PartitionSpec)) else ""
    if spec.layout is not None:
        by = spec.layout.partitioned_by
    identity = SQL("INCLUDING IDENTITY" if relation is spec else "")
    if not by:
        stored: Composable = SQL("")
        method = value(connection, query("next_table.access_method"), {"oid": relation.oid})
        if method is not None:
            stored = SQL("USING {}").format(Identifier(method))
        if live.is_inheritance_child:
            yield from _create_inheritance_child(connection, spec, live, stored)
            return
        yield _like(next_table(relation), live_table(relation), identity, stored)
        yield from _convert(connection, spec, relation, live, next_table(relation))
        return
    # The type of a column that the partition key uses cannot be changed: so the types come before the key.
    # Its name is the table's own: constraints that PostgreSQL names by itself are named after it.
    template = Identifier("pg_temp", relation.name)
    yield _like(template, live_table(relation), identity, SQL(""), temporary=True)
    yield from _convert(connection, spec, relation, live, template)
    yield _like(next_table(relation), template, identity, SQL("PARTITION BY {}").format(server_text(by)))
    yield Statement(sql=SQL("DROP TABLE {}").format(template))


def _create_inheritance_child(
    connection: Connection, spec: TableSpec, live: LiveTable, stored: Composable
) -> Iterator[Statement]:
    """A child in classic inheritance. Its parents' next tables need not be there yet."""
    # Constraints that PostgreSQL names by itself are named after the table, so the stub is made of a template.
    template, stub = Identifier("pg_temp", spec.name), Identifier(spec.next_schema, spec.stub_name)
    yield _like(template, live_table(spec), SQL(""), SQL(""), temporary=True)
    yield from _convert(connection, spec, spec, live, template)
    yield _like(stub, template, SQL(""), SQL(""))
    yield Statement(sql=SQL("DROP TABLE {}").format(template))
    yield from create_inheritance_child(connection, next_table(spec), stub, live_oid=spec.oid, stored=stored)


def _like(
    made: Identifier, like: Identifier, identity: Composable, stored: Composable, *, temporary: bool = False
) -> Statement:
    kind = SQL("TEMPORARY TABLE" if temporary else "TABLE")
    created = query("next_table.create_next")
    return Statement(sql=created.format(kind=kind, next=made, live=like, identity=identity, stored=stored))


def _convert(
    connection: Connection, spec: TableSpec, relation: Relation, live: LiveTable, table: Identifier
) -> Iterator[Statement]:
    """Give an empty copy of a live relation its next types; CHECKs that rows may break come after the swap."""
    for check in rows(connection, query("next_table.unvalidated_checks"), {"oid": relation.oid}):
        yield Statement(sql=SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table, Identifier(check["name"])))
    late: list[EnumCheck] = []
    for known in enum_checks(connection, relation.oid, spec.columns):
        if known.valid:
            gone = SQL("ALTER TABLE {} DROP CONSTRAINT {}")
            yield Statement(sql=gone.format(table, Identifier(known.name)))
            late.append(known)
    actions: list[Composable] = []
    for column in spec.columns:
        found = live.column(column.name)
        if found is None and not column.added:
            raise NeedsOperator(f"{relation.full_name}.{column.name} is gone. Correct the plan, then run it again.")
        # A converted column leaves its domain, and takes the domain's default along.
        default = None if found is None else found.present_default if column.converted else found.default_expr
        if column.converted and default is not None:
            # A default is never cast automatically: it goes first and comes back after the type.
            name = Identifier(column.name)
            yield Statement(sql=SQL("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT").format(table, name))
        actions += _changes(column, default)
    if actions:
        yield Statement(sql=SQL("ALTER TABLE {} {}").format(table, SQL(", ").join(actions)))
    for known in late:
        yield from _replace_enum_check(spec, table, known)


def _replace_enum_check(spec: TableSpec, table: Identifier, check: EnumCheck) -> Iterator[Statement]:
    """A CHECK over texts comes back over values, or goes by consent. Raises NeedsOperator without that."""
    definition = next_check(spec, check)
    if definition is None:
        return
    name = Identifier(check.name)
    yield Statement(sql=SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(table, name, definition))
    if check.comment is not None:
        yield Statement(sql=SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(name, table, check.comment))


def _changes(column: ColumnSpec, default: str | None) -> list[Composable]:
    """The actions of ALTER TABLE that make a column of the live table's copy the next one."""
    name, new_type = Identifier(column.name), type_name(column.next_type)
    made: list[Composable] = []
    if column.added:
        default_given = SQL("DEFAULT {}").format(server_text(column.default)) if column.default else SQL("")
        not_null = SQL("NOT NULL" if column.not_null else "")
        return [SQL("ADD COLUMN {} {} {} {}").format(name, new_type, default_given, not_null)]
    if column.converted:
        # The table is empty: no value has to be right.
        made.append(SQL("ALTER COLUMN {0} TYPE {1} USING {0}::pg_catalog.text::{1}").format(name, new_type))
    if column.default:
        made.append(SQL("ALTER COLUMN {} SET DEFAULT {}").format(name, server_text(column.default)))
    elif column.converted and default is not None:
        made.append(SQL("ALTER COLUMN {} SET DEFAULT {}").format(name, column_default(column, default)))
    if column.not_null:
        made.append(SQL("ALTER COLUMN {} SET NOT NULL").format(name))
    return made


def column_default(column: ColumnSpec, default: str) -> Composable:
    """A live default expression (as the server spells it) as the next one of a converted column."""
    return enum_default(column, default) if column.enum else next_default(default, column.next_type)


def next_default(default: str, next_type: str) -> Composable:
    """A live default expression (as the server spells it) for the converted column."""
    known = KNOWN_DEFAULTS.get(default)
    if known is not None:
        return server_text(known)
    return SQL("({})::pg_catalog.text::{}").format(server_text(default), type_name(next_type))


def copy_options(connection: Connection, relation: Relation, *, without: Sequence[int] = ()) -> list[Statement]:
    """What gives the next relation what LIKE leaves out. The next relation must exist."""
    targets = query("next_table.option_targets")
    named = {"oid": relation.oid, "schema": relation.next_schema, "name": relation.name}
    found = rows(connection, targets + query("next_table.options"), named)
    # A grant may stand on another's grant option, whatever either is for: they come last, in their own order.
    found += rows(connection, targets + query("next_table.granting"), named)
    kept = [r["statement"] for r in found if r["n"] not in without]
    return [Statement(sql=server_text(statement), settings=IN_PG_CATALOG) for statement in kept]
