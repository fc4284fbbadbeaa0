"""Families: tables that classic inheritance joins. Each is a table of the run; they are swapped together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import TableSpec
from sql.session.connection import Connection, rows, run, value
from sql.session.named_queries import query
from sql.session.statements import Statement
from sql.session.table_names import next_table

Name = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Relative:
    """A member of a family. `what` says why no plan can name it; empty where one can."""

    oid: int
    schema: str
    name: str
    what: str

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


def families(connection: Connection, oids: Iterable[int]) -> dict[int, list[Relative]]:
    """Each of the given tables with its whole family in name order, itself included."""
    found: dict[int, list[Relative]] = defaultdict(list)
    for r in rows(connection, query("inheritance.families"), {"oids": list(oids)}):
        found[r.pop("root")].append(Relative(**r))
    return found


def links(connection: Connection, oids: Iterable[int]) -> list[tuple[int, int]]:
    """(child, parent) for every link among these tables, each child's parents in their order."""
    found = rows(connection, query("inheritance.links"), {"oids": list(oids)})
    return [(link["child"], link["parent"]) for link in found]


def depths(connection: Connection, oids: Iterable[int]) -> dict[int, int]:
    """How many generations stand above each table among these; 0 where none does."""
    wanted = list(oids)
    parents: dict[int, list[int]] = defaultdict(list)
    for child, parent in links(connection, wanted):
        parents[child].append(parent)

    def depth(oid: int) -> int:
        return max((1 + depth(parent) for parent in parents[oid]), default=0)

    return {oid: depth(oid) for oid in wanted}


def parents_first(connection: Connection, names: Sequence[Name]) -> list[Name]:
    """In the order in which every query through a parent locks them: LOCK takes a parent's children along."""
    found = {name: value(connection, query("swap_back.oid_of"), {"schema": name[0], "name": name[1]}) for name in names}
    deep = depths(connection, [oid for oid in found.values() if oid is not None])
    return sorted(names, key=lambda name: (deep.get(found[name], 0), name))


def children_first(connection: Connection, specs: Sequence[TableSpec]) -> list[TableSpec]:
    """What is added to a parent is inherited by its children, and merges with what these have of their own."""
    if not any(spec.kin for spec in specs):
        return list(specs)
    deep = depths(connection, [spec.oid for spec in specs])
    return sorted(specs, key=lambda spec: -deep[spec.oid])


def link_next(connection: Connection, specs: Sequence[TableSpec]) -> list[Statement]:
    """Next tables inherit from each other as the live ones do; for one transaction.

    Only from here on: no session has written through a parent while they were filled. Those that are linked are left.
    """
    by_oid = {spec.oid: spec for spec in specs if spec.kin}
    next_oids = {oid: _next_oid(connection, spec) for oid, spec in by_oid.items()}
    there = set(links(connection, next_oids.values()))
    inherit = SQL("ALTER TABLE {} INHERIT {}")
    return [
        Statement(sql=inherit.format(next_table(by_oid[child]), next_table(by_oid[parent])))
        for child, parent in links(connection, by_oid)
        if (next_oids[child], next_oids[parent]) not in there
    ]


def analyze_families(connection: Connection, specs: Sequence[TableSpec]) -> list[Statement]:
    """Behind `link_next`: next tables know how many rows they have together. These statistics are the parent's."""
    by_oid = {spec.oid: spec for spec in specs if spec.kin}
    parents = dict.fromkeys(parent for _, parent in links(connection, by_oid))
    return [Statement(sql=SQL("ANALYZE {}").format(next_table(by_oid[oid]))) for oid in parents]


def _next_oid(connection: Connection, spec: TableSpec) -> int:
    return int(value(connection, query("swap_back.oid_of"), {"schema": spec.next_schema, "name": spec.name}))


def stub(spec: TableSpec) -> Identifier:
    """What the next table of an inheritance child inherits from at first (`sql.next_table.inheritance_child`)."""
    return Identifier(spec.next_schema, spec.stub_name)


def _has_stub(connection: Connection, spec: TableSpec) -> bool:
    named = {"schema": spec.next_schema, "name": spec.stub_name}
    return spec.kin and value(connection, query("swap_back.oid_of"), named) is not None


def stub_removed(connection: Connection, spec: TableSpec, table: Identifier) -> list[Composable]:
    """At the swap, when the new tables have their places: `table` has its parents there, so its stub goes."""
    if not _has_stub(connection, spec):
        return []
    return [
        SQL("ALTER TABLE {} NO INHERIT {}").format(table, stub(spec)),
        SQL("DROP TABLE {}").format(stub(spec)),
    ]


def unlink_next(connection: Connection, specs: Sequence[TableSpec]) -> None:
    """Before next tables are dropped one by one: no one of them holds another. What is not there is no error."""
    kin = [spec for spec in specs if spec.kin]
    names = [(spec.next_schema, name) for spec in kin for name in (spec.name, spec.stub_name)]
    found = [value(connection, query("swap_back.oid_of"), {"schema": s, "name": n}) for s, n in names]
    unlink(connection, [oid for oid in found if oid is not None])
    for spec in kin:
        connection.execute(SQL("DROP TABLE IF EXISTS {}").format(stub(spec)))


def unlink(connection: Connection, oids: Sequence[int]) -> None:
    """End the inheritance among these tables."""
    for link in rows(connection, query("inheritance.children_of"), {"oids": list(oids)}):
        run(
            connection,
            SQL("ALTER TABLE {} NO INHERIT {}").format(
                Identifier(link["schema"], link["name"]),
                Identifier(link["parent_schema"], link["parent_name"]),
            ),
        )
