"""Whether a table is still defined as it was, what a run carries over of it, and what hangs on it that it would not."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from replank.values.table_spec import PartitionSpec
from sql.catalogue.catalogue import partitions_of
from sql.session.connection import Connection, rows
from sql.session.named_queries import query, query_for_each

_HASH = re.compile(r" [0-9a-f]{32}$")

Members = Mapping[int, Sequence[int]]
"""Relations that are looked at together, by the first of them: a table's partitions with it."""

Parts = Mapping[int, Sequence[PartitionSpec]]
"""Tables and their partitions."""


def shape(connection: Connection, oid: int) -> str:
    """A fingerprint of a table's definition with its partitions', a line for it and for each thing that hangs on it."""
    return shapes(connection, [oid])[0]


def shapes(connection: Connection, oids: Sequence[int]) -> list[str]:
    """The same for many tables: seven statements, however many there are."""
    parts = partitions_of(connection, oids)
    members = _members(parts)
    hashes = _defined(connection, [each for together in members.values() for each in together])
    hangs = _fingerprints(connection, members)
    lost = _lost(connection, parts, ())
    kin = _for_each(connection, "inheritance.lines", {oid: [oid] for oid in oids})
    found = []
    for oid, together in members.items():
        own = [hashes[each] for each in together]
        hash_of_all = own[0] if len(own) == 1 else hashlib.md5("".join(own).encode()).hexdigest()
        lines = [*(f"{what} {name}" for what, name in lost[oid]), *(f"{h['object']} {h['hash']}" for h in hangs[oid])]
        found.append("\n".join([hash_of_all, *lines, *(each["line"] for each in kin[oid])]))
    return found


def defined(connection: Connection, oid: int) -> str:
    """The fingerprint of one relation's own definition."""
    return _defined(connection, [oid])[oid]


def carried(connection: Connection, oids: Sequence[int]) -> list[str]:
    """What hangs on these relations and is carried over: `view public.recent`."""
    if not oids:
        return []
    found = rows(connection, query("dependents.fingerprints"), {"oids": list(oids)})
    return [each["object"] for each in found]


def own_definitions(connection: Connection, oids: Sequence[int]) -> list[str]:
    """Of each relation without its partitions: a line for it and for each thing that hangs on it."""
    hashes = _defined(connection, oids)
    hangs = _fingerprints(connection, {oid: [oid] for oid in oids})
    return ["\n".join([hashes[oid], *(f"{h['object']} {h['hash']}" for h in hangs[oid])]) for oid in oids]


def changed(before: str, present: str) -> str:
    """What is not the same in two fingerprints of a table, for people."""
    differing = sorted(set(before.splitlines()[1:]) ^ set(present.splitlines()[1:]))
    named = dict.fromkeys(_HASH.sub("", line) for line in differing)
    return ", ".join(named) or "a column, constraint, index, trigger, grant, option or comment"


def not_carried(
    connection: Connection, oids: Sequence[int], *, replaced: Container[int] | None = ()
) -> dict[int, list[tuple[str, str]]]:
    """What hangs on each table, its partitions and its views and would be lost: `(what, object)`.

    `replaced` holds the oids of all planned tables, their partitions and their views: their own policies and
    rules are carried over. None if that is not known yet; then such are left out.
    """
    return _lost(connection, partitions_of(connection, oids), replaced)


def _lost(connection: Connection, parts: Parts, replaced: Container[int] | None) -> dict[int, list[tuple[str, str]]]:
    members = _members(parts)
    views = _for_each(connection, "dependents.views", members)
    together = {oid: [*members[oid], *(view["oid"] for view in views[oid])] for oid in parts}
    every = dict.fromkeys(each for some in together.values() for each in some)
    hanging = _for_each(connection, "catalogue.not_carried", {oid: [oid] for oid in every})
    refused = _for_each(connection, "dependents.refused", together)
    lost: dict[int, list[tuple[str, str]]] = {}
    for oid, partitions in parts.items():
        called = {oid: ""}
        called |= {partition.oid: f" (of partition {partition.full_name})" for partition in partitions}
        called |= {view["oid"]: f" (of view {view['schema']}.{view['name']})" for view in views[oid]}
        found = [
            (each["what"], each["object"] + of)
            for relation, of in called.items()
            for each in hanging[relation]
            if each["of"] is None or (replaced is not None and each["of"] not in replaced)
        ]
        lost[oid] = list(dict.fromkeys([*found, *((each["what"], each["object"]) for each in refused[oid])]))
    return lost


def _members(parts: Parts) -> dict[int, list[int]]:
    return {oid: [oid, *(partition.oid for partition in partitions)] for oid, partitions in parts.items()}


def _defined(connection: Connection, oids: Iterable[int]) -> dict[int, str]:
    found = _for_each(connection, "catalogue.shape", {oid: [oid] for oid in oids})
    return {oid: str(each["shape"]) for oid, (each,) in found.items()}


def _fingerprints(connection: Connection, members: Members) -> dict[int, list[dict[str, Any]]]:
    return _for_each(connection, "dependents.fingerprints", members)


def _for_each(connection: Connection, name: str, members: Members) -> dict[int, list[dict[str, Any]]]:
    """The rows of a query, by the relation that they were asked for."""
    found: dict[int, list[dict[str, Any]]] = {root: [] for root in members}
    if not found:
        return found
    named = {
        "roots": [root for root, together in members.items() for _ in together],
        "members": [each for together in members.values() for each in together],
    }
    for row in rows(connection, query_for_each(name), named, prepare=True):
        found[row["root"]].append(row)
    return found
