"""Conversion sets: tables that cut over together, because their types change or because something joins them.

`uuid = text` has no operator. A query that joins two converted columns fails from the swap of the one until the swap
of the other, whether or not a foreign key says that they belong together; so all of them change places in one
transaction, unless the plan says `sets = "apart"`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from producer.planning.repartition import lost_keys
from replank.values.table_spec import TableSpec
from sql.catalogue.catalogue import ForeignKey
from sql.catalogue.dependents import joined
from sql.session.connection import Connection

Sets = Literal["together", "apart"]
"""The plan's word: whether tables whose types change wait for each other."""


def conversion_sets(
    tables: Sequence[int],
    keys: Iterable[ForeignKey],
    also: Iterable[tuple[int, int]] = (),
    together: Sequence[int] = (),
) -> dict[int, int]:
    """Table oid → set number (from 1, in the order of `tables`).

    Two tables of the plan that any foreign key joins are in one set, whether or not its columns
    change: the key must lead from a new table to a new table at every moment. So are tables that a
    view reads together: `also` holds pairs of a table's oid and that of what reads it. Those of `together` are in
    one set whatever joins them.
    """
    parent = {oid: oid for oid in tables}

    def root(oid: int) -> int:
        while parent[oid] != oid:
            parent[oid] = parent[parent[oid]]
            oid = parent[oid]
        return oid

    for key in keys:
        if key.table_oid in parent and key.ref_oid in parent:
            parent[root(key.table_oid)] = root(key.ref_oid)
    for table, meets in (*also, *((together[0], other) for other in together[1:])):
        if table in parent:
            parent.setdefault(meets, meets)
            parent[root(table)] = root(meets)
    numbers: dict[int, int] = {}
    return {oid: numbers.setdefault(root(oid), len(numbers) + 1) for oid in tables}


def planned_sets(
    connection: Connection, specs: Sequence[TableSpec], keys: Sequence[ForeignKey], sets: Sets
) -> dict[int, tuple[tuple[TableSpec, ...], list[Mapping[str, Any]]]]:
    """Set number → its tables, which change places together, and the foreign keys around them as documents."""
    rebuilt = [spec for spec in specs if spec.method == "rebuild"]
    numbers = conversion_sets(
        [spec.oid for spec in rebuilt],
        keys,
        joined_tables(connection, rebuilt),
        together=[spec.oid for spec in rebuilt if spec.converts] if sets == "together" else (),
    )
    lost = {each.key.oid for each in lost_keys(specs, keys)}
    members: dict[int, list[TableSpec]] = defaultdict(list)
    for spec in rebuilt:
        members[numbers[spec.oid]].append(spec)
    return {
        set_no: (tuple(found), key_documents({spec.oid for spec in found}, keys, lost))
        for set_no, found in members.items()
    }


def joined_tables(connection: Connection, specs: Sequence[TableSpec]) -> list[tuple[int, int]]:
    """Pairs of a table's oid and what reads it or a partition of it: a view, a function, a table's policy or rule."""
    table_of = {relation.oid: spec.oid for spec in specs for relation in spec.relations}
    return [(table_of[oid], table_of.get(meets, meets)) for oid, meets in joined(connection, list(table_of))]


def key_documents(members: set[int], keys: Iterable[ForeignKey], lost: Collection[int] = ()) -> list[Mapping[str, Any]]:
    """The foreign keys that start from or lead to a member, as the ledger keeps them.

    Those whose oids are in `lost` are dropped with the swap, and not added again.
    """
    return [
        {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(key).items()}
        | ({"lost": True} if key.oid in lost else {})
        for key in keys
        if key.table_oid in members or key.ref_oid in members
    ]
