"""Foreign keys around a cutover: dropped at the border of the set, added again NOT VALID, validated, joined.

Before version 18 a partitioned table cannot have a foreign key that is NOT VALID. There its leaves get theirs
first; when all of them are validated, the table's own takes them in without reading a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from replank.values.reference import Equality
from replank.values.table_spec import TableSpec, building_schema
from sql.session.connection import Connection, rows, run, value
from sql.session.named_queries import query
from sql.session.table_names import server_text
from sql.values.equality_operators import leads_to

NOT_VALID_ON_PARTITIONED = 180_000
"""From this `server_version_num` on a partitioned table may have a NOT VALID foreign key."""

ForeignKeyDocument = Mapping[str, Any]
Name = tuple[str, str]


def drop_border_keys(foreign_keys: Iterable[ForeignKeyDocument], members: set[Name]) -> list[Composable]:
    """Keys between the set and tables outside: the past table must neither hold nor be held by them."""
    return [
        SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
            Identifier(key["schema"], key["table_name"]), Identifier(key["name"])
        )
        for key in foreign_keys
        if not ((key["schema"], key["table_name"]) in members and (key["ref_schema"], key["ref_table"]) in members)
    ]


def border_keys_of_siblings(
    connection: Connection, foreign_keys: Iterable[ForeignKeyDocument], specs: Sequence[TableSpec], members: set[Name]
) -> list[tuple[ForeignKeyDocument, list[Composable]]]:
    """The same in a trial, where such keys stand between next tables and stand-ins: each with how it goes."""
    made: list[tuple[ForeignKeyDocument, list[Composable]]] = []
    for key in foreign_keys:
        named = (key["schema"], key["table_name"])
        inside = named in members and (key["ref_schema"], key["ref_table"]) in members
        if inside or key.get("lost"):
            continue
        leaves = _laid_out(specs).get(named, leaves_of(connection, named)) if named in members else []
        placed = leaves if needs_leaves(connection, leaves) else [named]
        gone = SQL("ALTER TABLE {} DROP CONSTRAINT {}")
        name = Identifier(key["name"])
        made.append((key, [gone.format(Identifier(*_placed(each, before_swap=True)), name) for each in placed]))
    return made


def add_keys(
    connection: Connection, foreign_keys: Iterable[ForeignKeyDocument], specs: Sequence[TableSpec]
) -> list[Composable]:
    """Every key again, NOT VALID: validation reads whole tables and comes after the lock."""
    return [statement for key in foreign_keys for statement in key_statements(connection, key, specs)]


def key_statements(
    connection: Connection, key: ForeignKeyDocument, specs: Sequence[TableSpec], *, before_swap: bool = False
) -> list[Composable]:
    """One key again, NOT VALID; none for a lost one, which led to a key that is unique no longer.

    Read before the swap: the names of leaves are those of the next tables. `before_swap`: on the next tables where they
    lie, for a search_path that finds what the key leads to by its name alone.
    """
    if key.get("lost"):
        return []
    named = (key["schema"], key["table_name"])
    leaves = _laid_out(specs).get(named, leaves_of(connection, named))
    if before_swap:
        leaves = leaves if named in {(r.schema, r.name) for spec in specs for r in spec.relations} else []
        key = {**key, "definition": value(connection, query("foreign_keys.definition"), {"oid": key["oid"]})}
    if needs_leaves(connection, leaves):
        return [_added(key, _placed(leaf, before_swap), late=True) for leaf in leaves]
    placed = _placed(named, before_swap)
    return [_added(key, placed, late=key["validated"]), *_comment(key, placed)]


def _laid_out(specs: Sequence[TableSpec]) -> dict[Name, list[Name]]:
    """The leaves of tables that the plan partitions otherwise; a plain one has none."""
    return {
        (s.schema, s.name): [(h.schema, h.name) for h in s.next_heaps if s.next_partitioned]
        for s in specs
        if s.layout is not None
    }


def _placed(named: Name, before_swap: bool) -> Name:
    return (building_schema("replank_next", named[0]), named[1]) if before_swap else named


def needs_leaves(connection: Connection, leaves: Sequence[Name]) -> bool:
    """Whether the key of a table with these leaves must first be theirs. A plain table has none."""
    return bool(leaves) and connection.info.server_version < NOT_VALID_ON_PARTITIONED


def leaves_of(connection: Connection, named: Name) -> list[Name]:
    """The leaves of a partitioned table that is there by this name; none of a plain one."""
    found = rows(connection, query("foreign_keys.leaves"), {"schema": named[0], "name": named[1]})
    return [(r["schema"], r["name"]) for r in found]


def to_validate(connection: Connection, key: ForeignKeyDocument) -> list[dict[str, str]]:
    """After the swap: where this key's rows are to be read, as details of jobs."""
    named = (key["schema"], key["table_name"])
    leaves = leaves_of(connection, named)
    tables = leaves if needs_leaves(connection, leaves) else [named]
    return [{"schema": schema, "table": table, "name": key["name"]} for schema, table in tables]


def is_partition(connection: Connection, schema: str, table: str) -> bool:
    """Whether the table is a partition of another."""
    return bool(value(connection, query("foreign_keys.is_partition"), {"schema": schema, "table": table}))


def join_leaves(connection: Connection, key: ForeignKeyDocument) -> None:
    """After validation: the partitioned table's own key, where its leaves had to be first."""
    named = (key["schema"], key["table_name"])
    if not needs_leaves(connection, leaves_of(connection, named)):
        return
    there = value(
        connection, query("foreign_keys.is_there"), {"schema": named[0], "table": named[1], "name": key["name"]}
    )
    if not there:
        for statement in own_key(key):
            run(connection, statement)


def own_key(key: ForeignKeyDocument) -> list[Composable]:
    """The key of a table whose leaves have theirs already: it takes them in, and reads no row."""
    named = (key["schema"], key["table_name"])
    return [_added(key, named, late=False), *_comment(key, named)]


def _added(key: ForeignKeyDocument, named: Name, *, late: bool) -> Composable:
    return SQL("ALTER TABLE {} ADD CONSTRAINT {} {}{}").format(
        Identifier(*named),
        Identifier(key["name"]),
        server_text(key["definition"]),
        SQL(" NOT VALID" if late else ""),
    )


def without_parent(
    columns: Sequence[str],
    ref_columns: Sequence[str],
    equality: Sequence[Equality],
    *,
    child: Composable,
    parent: Composable,
    period: bool,
    full: bool = False,
) -> Composable:
    """FROM and WHERE for the rows of `child` that the key would not let in.

    What PostgreSQL itself asks when it validates: by the constraint's own operators. Of a PERIOD, all parents that
    overlap it must cover it together. `full` is MATCH FULL.
    """
    values = [Identifier("child", name) for name in columns]
    same = leads_to(values, ref_columns, equality)
    if period:
        covering = SQL("SELECT pg_catalog.range_agg({}) FROM {} AS parent WHERE {}").format(
            Identifier("parent", ref_columns[-1]), parent, same
        )
        found = SQL("coalesce({} OPERATOR(pg_catalog.<@) ({}), false)").format(values[-1], covering)
    else:
        found = SQL("EXISTS (SELECT FROM {} AS parent WHERE {})").format(parent, same)
    return SQL("FROM {} AS child WHERE {} AND NOT {}").format(child, refers(values, full=full), found)


def refers(values: Iterable[Composable], *, full: bool) -> Composable:
    """Whether a row must have a parent: one NULL lets it off, and with MATCH FULL only NULL in every column."""
    there = SQL(" OR " if full else " AND ").join(SQL("{} IS NOT NULL").format(value) for value in values)
    return SQL("({})").format(there)


def _comment(key: ForeignKeyDocument, named: Name) -> list[Composable]:
    if key["comment"] is None:
        return []
    comment = SQL("COMMENT ON CONSTRAINT {} ON {} IS {}")
    return [comment.format(Identifier(key["name"]), Identifier(*named), key["comment"])]
