"""Which indexes the next table gets: the live ones; where it has other partitions, each of those for each of them.

PostgreSQL wants the partition column in every unique index. Where it is missing and the plan gives uniqueness
up, constraints get the column as their last one, and other unique indexes become ordinary ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from psycopg.sql import SQL, Identifier

from replank.errors import NeedsOperator
from replank.names import joined_name
from replank.values.table_spec import Layout, Relation, TableSpec
from sql.catalogue.dependents import looking_in
from sql.next_table.extended_statistics import create_statistics
from sql.next_table.indexes import (
    IndexSpec,
    add_constraint,
    attach_constraints,
    constraint,
    defined,
    marks,
    plain_patterns,
    planned_indexes,
    read_indexes,
    read_next_indexes,
    set_statistics_targets,
)
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.statements import Statement, stated
from sql.session.table_names import quoted, server_text
from sql.values.enum_checks import index_of_values


def next_indexes(connection: Connection, spec: TableSpec) -> list[IndexSpec]:
    """What is to be built on the heaps of the next table, each by a job of its own."""
    if spec.layout is None:
        return read_next_indexes(connection, spec, spec.heaps) + planned_indexes(connection, spec)
    heaps = spec.next_heaps
    wanted = wanted_indexes(connection, spec, spec.layout)
    if not spec.next_partitioned:
        return [one.on(spec, one.parent.name) for one in wanted] + planned_indexes(connection, spec)
    return [part for one in wanted for part in one.parts(heaps)]


def stand_on_indexes(connection: Connection, spec: TableSpec, built: Iterable[IndexSpec]) -> Iterator[Statement]:
    """Make constraints of the built indexes, join those of partitions, give them marks, comments, statistics."""
    if spec.layout is None:
        yield from attach_constraints(connection, spec, built)
        return
    for index in built:
        yield from stated((*constraint(index), *marks(index)))
    if spec.next_partitioned:
        for wanted in wanted_indexes(connection, spec, spec.layout):
            yield from _join(wanted, spec.next_heaps)
        yield from _statistics_of_parts(connection, spec)
    else:
        yield from set_statistics_targets(connection, spec)
    yield from create_statistics(connection, (spec,))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An index of the live table as the next one is to have it. `tail` is SQL behind the table's name.

    `lost` says that it was unique and is so no longer, or only together with the partition column.
    """

    parent: IndexSpec
    tail: str
    lost: bool

    def on(self, heap: Relation, name: str, *, only: bool = False) -> IndexSpec:
        """The same index under this name on one relation of the next table."""
        definition = SQL("CREATE {}INDEX {} ON {}{}{}").format(
            SQL("UNIQUE " if self.parent.is_unique else ""),
            Identifier(name),
            SQL("ONLY " if only else ""),
            Identifier(heap.name),
            server_text(self.tail),
        )
        return replace(
            self.parent,
            table=heap.name,
            name=name,
            definition=definition.as_string(None),
            constraint_name=None if self.parent.constraint_name is None else name,
        )

    def parts(self, heaps: Iterable[Relation]) -> list[IndexSpec]:
        """The same index on each partition. Comments stay with the parent's."""
        bare = replace(self, parent=replace(self.parent, comment=None, constraint_comment=None))
        return [bare.on(heap, part_name(heap.name, self.parent)) for heap in heaps]


def part_name(partition: str, parent: IndexSpec) -> str:
    """`orders_2025_01_pkey` of `orders_pkey`"""
    return joined_name(partition, parent.name.removeprefix(parent.table + "_"))


def wanted_indexes(connection: Connection, spec: TableSpec, layout: Layout) -> list[Wanted]:
    """The live table's indexes as they will be. Raises NeedsOperator if one is not spelled as servers spell them."""
    with connection.transaction(), looking_in(connection, quoted(spec.schema)):
        found = rows(connection, query("layout.indexes"), {"oid": spec.oid, "column": layout.column})
    told = {one["name"]: one for one in found}
    patterns = plain_patterns(connection, spec)
    made: list[Wanted] = []
    for index in read_indexes(connection, [spec]):
        about = told[index.name]
        if about["tail"] is None:
            raise NeedsOperator(f"{spec.full_name}: cannot read the definition of index {index.name}. Drop the index.")
        pattern = patterns.get((index.schema, index.name))
        if pattern is not None and pattern.goes:
            continue
        tail = index_of_values(about["tail"] if pattern is None else pattern.tail, spec.columns)
        if not index.is_unique or about["holds_column"] or not spec.next_partitioned:
            made.append(Wanted(parent=index, tail=tail, lost=False))
        elif index.constraint_name is None:
            # If it names the rows for replication, the trial says in the server's words that it no longer can.
            ordinary = replace(index, is_unique=False)
            made.append(Wanted(parent=ordinary, tail=tail, lost=True))
        else:
            longer = replace(index, constraint_definition=_longer_constraint(index, about["constraint_tail"]))
            made.append(Wanted(parent=longer, tail=about["index_tail"], lost=True))
    return made


def _longer_constraint(index: IndexSpec, tail: str) -> str:
    kind = "PRIMARY KEY" if index.constraint_type == "p" else "UNIQUE"
    when = (" DEFERRABLE INITIALLY DEFERRED" if index.deferred else " DEFERRABLE") if index.deferrable else ""
    return f"{kind} {tail}{when}"


def _join(wanted: Wanted, heaps: Iterable[Relation]) -> Iterator[Statement]:
    """The partitioned table's own index: without a file, complete with the partitions' parts."""
    parent = wanted.parent
    if parent.constraint_definition is None:
        whole = Relation(oid=0, schema=parent.schema, name=parent.table)
        yield defined(parent, wanted.on(whole, parent.name, only=True).definition)
    else:
        yield add_constraint(parent, parent.constraint_definition, only=True)
    for part in wanted.parts(heaps):
        yield Statement(
            sql=SQL("ALTER INDEX {} ATTACH PARTITION {}").format(
                Identifier(parent.next_schema, parent.name), Identifier(part.next_schema, part.name)
            )
        )
    # A partitioned table cannot be marked as clustered on an index; its parts are.
    yield from stated(marks(replace(parent, clustered=False)))


def _statistics_of_parts(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    """Statistics targets on the expressions of indexes, for each partition's part."""
    by_name = {index.name: index for index in read_indexes(connection, [spec])}
    for target in rows(connection, query("next_table.index_statistics"), {"oid": spec.oid}):
        for heap in spec.next_heaps:
            yield Statement(
                sql=SQL("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}").format(
                    Identifier(heap.next_schema, part_name(heap.name, by_name[target["name"]])),
                    target["column_no"],
                    target["target"],
                )
            )
