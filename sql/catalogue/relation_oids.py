"""The oids of relations by name, of all of them in one question."""

from __future__ import annotations

from collections.abc import Iterable

from sql.session.connection import Connection, rows
from sql.session.named_queries import query

Name = tuple[str, str]


def relation_oids(connection: Connection, names: Iterable[Name]) -> dict[Name, int]:
    """Tables and views by (schema, name), in the order of `names`; those that are gone are left out."""
    listed = list(names)
    named = {"schemas": [schema for schema, _ in listed], "names": [name for _, name in listed]}
    found = {(each["schema"], each["name"]): each["oid"] for each in rows(connection, query("relations.oids"), named)}
    return {name: found[name] for name in listed if name in found}
