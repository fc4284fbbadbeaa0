"""Whether a table is still defined as it was, what a run carries over of it, and what hangs on it that it would not."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Sequence
from typing import Any

from sql.catalogue.catalogue import partitions
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

_HASH = re.compile(r" [0-9a-f]{32}$")


def shape(connection: Connection, oid: int) -> str:
    """A fingerprint of a table's definition with its partitions', a line for it and for each thing that hangs on it."""
    oids = [oid, *(partition.oid for partition in partitions(connection, oid))]
    hashes = [defined(connection, each) for each in oids]
    hash_of_all = hashes[0] if len(hashes) == 1 else hashlib.md5("".join(hashes).encode()).hexdigest()
    hangs = _fingerprints(connection, oids)
    lost = not_carried(connection, oid)
    kin = [found["line"] for found in rows(connection, query("inheritance.lines"), {"oid": oid}, prepare=True)]
    lines = [*(f"{what} {name}" for what, name in lost), *(f"{h['object']} {h['hash']}" for h in hangs), *kin]
    return "\n".join([hash_of_all, *lines])


def defined(connection: Connection, oid: int) -> str:
    """The fingerprint of one relation's own definition."""
    (found,) = rows(connection, query("catalogue.shape"), {"oid": oid}, prepare=True)
    return str(found["shape"])


def carried(connection: Connection, oids: Sequence[int]) -> list[str]:
    """What hangs on these relations and is carried over: `view public.recent`."""
    return [found["object"] for found in _fingerprints(connection, oids)]


def _fingerprints(connection: Connection, oids: Sequence[int]) -> list[dict[str, Any]]:
    return rows(connection, query("dependents.fingerprints"), {"oids": list(oids)}, prepare=True)


def changed(before: str, present: str) -> str:
    """What is not the same in two fingerprints of a table, for people."""
    differing = sorted(set(before.splitlines()[1:]) ^ set(present.splitlines()[1:]))
    named = dict.fromkeys(_HASH.sub("", line) for line in differing)
    return ", ".join(named) or "a column, constraint, index, trigger, grant, option or comment"


def not_carried(connection: Connection, oid: int, *, replaced: Container[int] | None = ()) -> list[tuple[str, str]]:
    """What hangs on a table, its partitions and its views and would be lost: `(what, object)`.

    `replaced` holds the oids of all planned tables, their partitions and their views: their own policies and
    rules are carried over. None if that is not known yet; then such are left out.
    """
    parts = partitions(connection, oid)
    found = _hanging(connection, oid, replaced)
    for partition in parts:
        hangs = _hanging(connection, partition.oid, replaced)
        found += [(what, f"{name} (of partition {partition.full_name})") for what, name in hangs]
    oids = [oid, *(partition.oid for partition in parts)]
    views = rows(connection, query("dependents.views"), {"oids": oids}, prepare=True)
    for view in views:
        hangs = _hanging(connection, view["oid"], replaced)
        found += [(what, f"{name} (of view {view['schema']}.{view['name']})") for what, name in hangs]
    wanted = {"oids": [*oids, *(view["oid"] for view in views)]}
    refused = rows(connection, query("dependents.refused"), wanted, prepare=True)
    return list(dict.fromkeys([*found, *((r["what"], r["object"]) for r in refused)]))


def _hanging(connection: Connection, oid: int, replaced: Container[int] | None) -> list[tuple[str, str]]:
    """The same for one relation."""
    return [
        (found["what"], found["object"])
        for found in rows(connection, query("catalogue.not_carried"), {"oid": oid}, prepare=True)
        if found["of"] is None or (replaced is not None and found["of"] not in replaced)
    ]
