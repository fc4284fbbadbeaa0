"""Indexes of the next table, and the constraints that stand on them.

Each heap's indexes are built by jobs of their own. The index of a partitioned table is then created on the
table alone, and the partitions' indexes become its parts: so nothing is built twice, and names are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from replank.names import joined_name
from replank.values.table_spec import Relation, TableSpec, building_schema
from sql.catalogue.dependents import looking_in
from sql.next_table.extended_statistics import create_statistics
from sql.next_table.pattern_indexes import PatternIndex, read_pattern_indexes
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.statements import Statement, stated
from sql.session.table_names import quoted, server_text
from sql.values.enum_checks import index_of_values


@dataclass(frozen=True, kw_only=True)
class IndexSpec:
    """An index of the live table and the constraint that stands on it, if any."""

    schema: str
    table: str
    name: str
    definition: str
    is_unique: bool
    tablespace: str | None
    constraint_name: str | None
    constraint_type: str | None
    whole_constraint: str | None
    constraint_definition: str | None
    deferrable: bool
    deferred: bool
    clustered: bool
    replica_identity: bool
    comment: str | None
    constraint_comment: str | None

    @property
    def next_schema(self) -> str:
        return building_schema("replank_next", self.schema)

    @property
    def next_table(self) -> Identifier:
        return Identifier(self.next_schema, self.table)


def read_indexes(connection: Connection, relations: Iterable[Relation]) -> list[IndexSpec]:
    """The live relations' indexes, spelled so that a search_path says where they are built."""
    found: list[IndexSpec] = []
    for relation in relations:
        with connection.transaction(), looking_in(connection, quoted(relation.schema)):
            indexes = rows(connection, query("next_table.indexes"), {"oid": relation.oid})
        found += [IndexSpec(schema=relation.schema, table=relation.name, **index) for index in indexes]
    return found


def planned_indexes(connection: Connection, spec: TableSpec) -> list[IndexSpec]:
    """Unique constraints that the plan asks for on new columns."""
    return [_unique(connection, spec, column.name) for column in spec.columns if column.unique]


def _unique(connection: Connection, spec: TableSpec, column: str) -> IndexSpec:
    name = joined_name(spec.name, column, ending="_key")
    definition = SQL("CREATE UNIQUE INDEX {} ON {} ({})").format(
        Identifier(name), Identifier(spec.name), Identifier(column)
    )
    return IndexSpec(
        schema=spec.schema,
        table=spec.name,
        name=name,
        definition=definition.as_string(connection),
        is_unique=True,
        tablespace=None,
        constraint_name=name,
        constraint_type="u",
        whole_constraint=None,
        constraint_definition=None,
        deferrable=False,
        deferred=False,
        clustered=False,
        replica_identity=False,
        comment=None,
        constraint_comment=None,
    )


def build_index(document: Mapping[str, Any]) -> Statement:
    """Build the index of an `IndexSpec`'s document on its next relation."""
    index = IndexSpec(**document)
    if index.whole_constraint is None:
        return defined(index, index.definition)
    return add_constraint(index, index.whole_constraint)


def build_concurrently(connection: Connection, document: Mapping[str, Any]) -> Iterator[Statement]:
    """Build an index on the live table without keeping writers out; an invalid one of its name is built again."""
    index = IndexSpec(**document)
    found = rows(connection, query("backfilling.valid_index"), {"schema": index.schema, "name": index.name})
    if found and found[0]["valid"]:
        return
    if found:
        gone = SQL("DROP INDEX CONCURRENTLY {}").format(Identifier(index.schema, index.name))
        yield Statement(sql=gone, concurrently=True)
    definition = server_text(index.definition.replace("INDEX", "INDEX CONCURRENTLY", 1))
    yield Statement(sql=definition, settings={"search_path": quoted(index.schema)}, concurrently=True)


def defined(index: IndexSpec, definition: str) -> Statement:
    """Names in the index's definition mean the next relation, and it lies where the live one does."""
    return Statement(sql=server_text(definition), settings=_places(index))


def _places(index: IndexSpec) -> Mapping[str, str]:
    return {
        "search_path": quoted(index.next_schema, index.schema),
        "default_tablespace": index.tablespace or "",
    }


def add_constraint(index: IndexSpec, definition: str, *, only: bool = False) -> Statement:
    assert index.constraint_name is not None
    added = SQL("ALTER TABLE {}{} ADD CONSTRAINT {} {}").format(
        SQL("ONLY " if only else ""),
        index.next_table,
        Identifier(index.constraint_name),
        server_text(definition),
    )
    return Statement(sql=added, settings=_places(index))


def attach_constraints(connection: Connection, spec: TableSpec, indexes: Iterable[IndexSpec]) -> Iterator[Statement]:
    """Make constraints of the heaps' unique indexes, give indexes their marks and comments, join partitions'."""
    for index in indexes:
        yield from stated((*constraint(index), *marks(index)))
    yield from _join_parts(connection, spec)
    for relation in spec.relations:
        yield from set_statistics_targets(connection, relation)
    yield from create_statistics(connection, spec.relations)


def set_statistics_targets(connection: Connection, relation: Relation) -> Iterator[Statement]:
    """On the expressions of the next relation's indexes, as on those of the live one's."""
    for target in rows(connection, query("next_table.index_statistics"), {"oid": relation.oid}):
        yield Statement(
            sql=SQL("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}").format(
                Identifier(relation.next_schema, target["name"]), target["column_no"], target["target"]
            )
        )


def read_next_indexes(connection: Connection, spec: TableSpec, relations: Iterable[Relation]) -> list[IndexSpec]:
    """The live relations' indexes as the next ones have them.

    Predicates list values where the live ones list texts of an enum's. With the plan's consent indexes for text
    patterns become plain ones, or are left out.
    """
    patterns = plain_patterns(connection, spec)
    found: list[IndexSpec] = []
    for index in read_indexes(connection, relations):
        pattern = patterns.get((index.schema, index.name))
        definition = index.definition if pattern is None else pattern.head + pattern.tail
        if pattern is None or not pattern.goes:
            found.append(replace(index, definition=index_of_values(definition, spec.columns)))
    return found


def plain_patterns(connection: Connection, spec: TableSpec) -> dict[tuple[str, str], PatternIndex]:
    """Schema and name of each index for text patterns that the plan gives up → what becomes of it."""
    if not spec.plain_patterns:
        return {}
    return {(one.relation.schema, one.name): one for one in read_pattern_indexes(connection, spec)}


def _join_parts(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    """The indexes of partitioned relations: created without a file, complete with the partitions' parts."""
    parents = spec.parents
    indexes = read_next_indexes(connection, spec, parents)
    names = {(index.schema, index.name) for index in indexes}
    for index in indexes:
        if index.constraint_definition is None:
            yield defined(index, index.definition)
        else:
            yield add_constraint(index, index.constraint_definition, only=True)
    for parent in parents:
        for part in rows(connection, query("next_table.index_parts"), {"oid": parent.oid}):
            if (parent.schema, part["parent"]) not in names:
                continue
            yield Statement(
                sql=SQL("ALTER INDEX {} ATTACH PARTITION {}").format(
                    Identifier(parent.next_schema, part["parent"]),
                    Identifier(building_schema("replank_next", part["schema"]), part["name"]),
                )
            )
    for index in indexes:
        yield from stated(marks(index))


def constraint(index: IndexSpec) -> list[Composable]:
    """The PRIMARY KEY or UNIQUE that stands on a built index; others came with their index."""
    if index.constraint_name is None or index.whole_constraint is not None:
        return []
    when = SQL("")
    if index.deferrable:
        when = SQL(" DEFERRABLE INITIALLY DEFERRED" if index.deferred else " DEFERRABLE")
    return [
        SQL("ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}").format(
            index.next_table,
            Identifier(index.constraint_name),
            SQL("PRIMARY KEY" if index.constraint_type == "p" else "UNIQUE"),
            Identifier(index.name),
            when,
        )
    ]


def marks(index: IndexSpec) -> list[Composable]:
    """Which of its table's indexes it is (CLUSTER ON, REPLICA IDENTITY), and comments."""
    table, name = index.next_table, Identifier(index.name)
    made: list[Composable] = []
    if index.clustered:
        made.append(SQL("ALTER TABLE {} CLUSTER ON {}").format(table, name))
    if index.replica_identity:
        made.append(SQL("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}").format(table, name))
    if index.comment is not None:
        made.append(SQL("COMMENT ON INDEX {} IS {}").format(Identifier(index.next_schema, index.name), index.comment))
    if index.constraint_comment is not None and index.constraint_name is not None:
        made.append(
            SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
                Identifier(index.constraint_name), table, index.constraint_comment
            )
        )
    return made
