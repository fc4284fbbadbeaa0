"""What tables are at one moment, as hashes: a later change is seen then, though not what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from sql.catalogue.fingerprints import defined
from sql.catalogue.relations import read_relations
from sql.session.connection import Connection, rows
from sql.session.named_queries import query


def read_definitions(connection: Connection, schemas: Iterable[str]) -> dict[str, str]:
    """`schema.table` → a hash of its definition with what hangs on it, for all tables of these schemas.

    Partitions are left out: they come and go by themselves.
    """
    wanted = set(schemas)
    return {
        table.full_name: _hash(connection, table.oid)
        for table in read_relations(connection).values()
        if table.schema in wanted
    }


def _hash(connection: Connection, oid: int) -> str:
    hanging = rows(connection, query("dependents.fingerprints"), {"oids": [oid]}, prepare=True)
    lines = [defined(connection, oid), *(f"{each['object']} {each['hash']}" for each in hanging)]
    return hashlib.md5("\n".join(lines).encode()).hexdigest()


def changed_definitions(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Words for each table that is not what it was. One that is new is no change of the others."""
    gone = [f"{name} is gone" for name in then if name not in now]
    return sorted(gone + [f"{name} was changed" for name in then if now.get(name, then[name]) != then[name]])
