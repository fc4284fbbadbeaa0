"""Building the next table: the final shape, beside the live one, without indexes.

Definitions are never rewritten as text. `LIKE` copies the columns, PostgreSQL itself changes the types
of the empty table, and every other definition is asked of the server and executed where a search_path
makes it mean the next table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from replank.errors import NeedsPerson
from replank.table_spec import TableSpec
from sql.catalogue import LiveTable, read_tables
from sql.connection import Connection, apply_settings, rows, run, value
from sql.conversion import type_name
from sql.named import query

KNOWN_DEFAULTS = {
    "(gen_random_uuid())::text": "pg_catalog.gen_random_uuid()",
    "(uuidv7())::text": "pg_catalog.uuidv7()",
    "(uuidv4())::text": "pg_catalog.uuidv4()",
}
"""Generators whose detour over text is dropped; every other default is cast as a whole."""


@dataclass(frozen=True, kw_only=True)
class IndexSpec:
    """An index of the live table and the constraint that stands on it, if any."""

    name: str
    definition: str
    is_unique: bool
    tablespace: str | None
    constraint_name: str | None
    constraint_type: str | None
    whole_constraint: str | None
    deferrable: bool
    deferred: bool
    clustered: bool
    replica_identity: bool
    comment: str | None
    constraint_comment: str | None


def next_table(spec: TableSpec) -> sql.Identifier:
    return sql.Identifier(spec.next_schema, spec.name)


def live_table(spec: TableSpec) -> sql.Identifier:
    return sql.Identifier(spec.schema, spec.name)


def past_table(spec: TableSpec) -> sql.Identifier:
    return sql.Identifier(spec.past_schema, spec.name)


def still_there(connection: Connection, specs: Sequence[TableSpec]) -> list[TableSpec]:
    """Those whose live table has neither been dropped nor renamed, nor been replaced by another of its name."""
    found = {(t.oid, t.schema, t.name) for t in read_tables(connection, [spec.oid for spec in specs])}
    return [spec for spec in specs if (spec.oid, spec.schema, spec.name) in found]


def server_text(text: str) -> sql.SQL:
    """SQL that the server wrote (`pg_get_…def`, `format`): quoted there, executed here."""
    return sql.SQL(text)


def create_next(connection: Connection, spec: TableSpec, live: LiveTable) -> None:
    """Create the next table, empty. Runs in the caller's transaction; only ACCESS SHARE on the live one."""
    method = value(connection, query("next_table.access_method"), {"oid": spec.oid})
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(spec.next_schema)))
    connection.execute(
        query("next_table.create_next").format(
            next=next_table(spec), live=live_table(spec), method=sql.Identifier(method)
        )
    )
    for check in rows(connection, query("next_table.unvalidated_checks"), {"oid": spec.oid}):
        connection.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(next_table(spec), sql.Identifier(check["name"]))
        )
    _convert_columns(connection, spec, live)
    for statement in dressing(connection, spec):
        connection.execute(server_text(statement))
    # While it is filled, autovacuum would only get in the way of the index jobs' locks.
    connection.execute(sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = false)").format(next_table(spec)))


def _convert_columns(connection: Connection, spec: TableSpec, live: LiveTable) -> None:
    actions: list[sql.Composable] = []
    for column in spec.columns:
        if not column.converted:
            continue
        name, new_type = sql.Identifier(column.name), type_name(column.next_type)
        found = live.column(column.name)
        if found is None:
            raise NeedsPerson(f"{spec.full_name}.{column.name} is gone. Correct the plan, then run again.")
        default = found.default_expr
        # A default is never cast automatically: it goes first and comes back after the type.
        if default is not None:
            connection.execute(sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT").format(next_table(spec), name))
        actions.append(sql.SQL("ALTER COLUMN {0} TYPE {1} USING {0}::pg_catalog.text::{1}").format(name, new_type))
        if default is not None:
            actions.append(
                sql.SQL("ALTER COLUMN {} SET DEFAULT {}").format(name, next_default(default, column.next_type))
            )
    if actions:
        connection.execute(sql.SQL("ALTER TABLE {} {}").format(next_table(spec), sql.SQL(", ").join(actions)))


def next_default(default: str, next_type: str) -> sql.Composable:
    """A live default expression (as the server spells it) for the converted column."""
    known = KNOWN_DEFAULTS.get(default)
    if known is not None:
        return server_text(known)
    return sql.SQL("({})::pg_catalog.text::{}").format(server_text(default), type_name(next_type))


def dressing(connection: Connection, spec: TableSpec) -> list[str]:
    """Statements that give the next table what LIKE leaves out. The next table must exist."""
    targets = query("next_table.dressing_targets")
    named = {"oid": spec.oid, "schema": spec.next_schema, "name": spec.name}
    return [r["statement"] for r in rows(connection, targets + query("next_table.dressing"), named)]


def read_indexes(connection: Connection, spec: TableSpec) -> list[IndexSpec]:
    """The live table's indexes, spelled so that a search_path says where they are built."""
    with connection.transaction():
        apply_settings(connection, {"search_path": quoted(spec.schema)}, local=True)
        found = rows(connection, query("next_table.indexes"), {"oid": spec.oid})
    return [IndexSpec(**index) for index in found]


def quoted(*names: str) -> str:
    """A search_path of these schemas."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def build_index(connection: Connection, spec: TableSpec, index: dict[str, Any]) -> None:
    """Build one index on the next table, in the caller's transaction; none if it exists already."""
    apply_settings(
        connection,
        {
            "search_path": quoted(spec.next_schema, spec.schema),
            "default_tablespace": index["tablespace"] or "",
        },
        local=True,
    )
    if index["whole_constraint"] is None:
        connection.execute(server_text(index["definition"]))
    else:
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                next_table(spec),
                sql.Identifier(index["constraint_name"]),
                server_text(index["whole_constraint"]),
            )
        )


def attach_constraints(connection: Connection, spec: TableSpec, indexes: list[IndexSpec]) -> None:
    """Make constraints of the unique indexes, and give indexes their marks, targets and comments."""
    for index in indexes:
        for statement in _attachments(spec, index):
            run(connection, statement)
    for target in rows(connection, query("next_table.index_statistics"), {"oid": spec.oid}):
        connection.execute(
            sql.SQL("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}").format(
                sql.Identifier(spec.next_schema, target["name"]), target["column_no"], target["target"]
            )
        )


def _attachments(spec: TableSpec, index: IndexSpec) -> list[sql.Composable]:
    table, name = next_table(spec), sql.Identifier(index.name)
    made: list[sql.Composable] = []
    if index.constraint_name is not None and index.whole_constraint is None:
        kind = sql.SQL("PRIMARY KEY") if index.constraint_type == "p" else sql.SQL("UNIQUE")
        when = sql.SQL("")
        if index.deferrable:
            when = sql.SQL(" DEFERRABLE INITIALLY DEFERRED" if index.deferred else " DEFERRABLE")
        made.append(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}").format(
                table, sql.Identifier(index.constraint_name), kind, name, when
            )
        )
    if index.clustered:
        made.append(sql.SQL("ALTER TABLE {} CLUSTER ON {}").format(table, name))
    if index.replica_identity:
        made.append(sql.SQL("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}").format(table, name))
    if index.comment is not None:
        made.append(
            sql.SQL("COMMENT ON INDEX {} IS {}").format(sql.Identifier(spec.next_schema, index.name), index.comment)
        )
    if index.constraint_comment is not None and index.constraint_name is not None:
        made.append(
            sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
                sql.Identifier(index.constraint_name), table, index.constraint_comment
            )
        )
    return made
