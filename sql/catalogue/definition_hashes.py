"""What tables are at one moment, as hashes: a later change is seen then, though not what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from sql.catalogue.fingerprints import own_definitions
from sql.catalogue.relations import read_relations
from sql.session.connection import Connection


def read_definitions(connection: Connection, schemas: Iterable[str]) -> dict[str, str]:
    """`schema.table` → a hash of its definition with what hangs on it, for all tables of these schemas.

    Partitions are left out: they come and go by themselves.
    """
    wanted = set(schemas)
    tables = [table for table in read_relations(connection).values() if table.schema in wanted]
    found = own_definitions(connection, [table.oid for table in tables])
    return {
        table.full_name: hashlib.md5(lines.encode()).hexdigest() for table, lines in zip(tables, found, strict=True)
    }


def changed_definitions(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Words for each table that is not what it was. One that is new is no change of the others."""
    gone = [f"{name} is gone" for name in then if name not in now]
    return sorted(gone + [f"{name} was changed" for name in then if now.get(name, then[name]) != then[name]])
