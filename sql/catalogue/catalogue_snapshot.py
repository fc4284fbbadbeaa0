"""Snapshots of the catalogue: what it says of a run's relations. The ledger keeps the one of the beginning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replank.values.table_spec import TableSpec
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

Name = tuple[str, str]


@dataclass(frozen=True, kw_only=True, order=True)
class CatalogueObject:
    """One object: `relation` it belongs to, `what` it is, its `name` there, and all that defines it."""

    relation: str
    what: str
    name: str
    definition: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.relation, self.what, self.name)


def subjects(connection: Connection, specs: Iterable[TableSpec]) -> set[Name]:
    """Names of the live relations of these tables, as they were and as they will be, and of the views over them now.

    By name, because after the swap the oids are those of the past tables.
    """
    relations = {(r.schema, r.name) for spec in specs for r in (*spec.relations, *spec.next_relations)}
    wanted = sorted(relations)
    named = {"schemas": [schema for schema, _ in wanted], "names": [name for _, name in wanted]}
    views = rows(connection, query("snapshot.dependent_views"), named)
    return relations | {(view["schema"], view["name"]) for view in views}


def read_objects(connection: Connection, names: Iterable[Name]) -> list[CatalogueObject]:
    """What the catalogue says of these relations now; those that are not there have nothing to say."""
    wanted = sorted(names)
    found = rows(
        connection,
        query("snapshot.objects"),
        {"schemas": [schema for schema, _ in wanted], "names": [name for _, name in wanted]},
    )
    return [CatalogueObject(**{**r, "definition": r["definition"] or ""}) for r in found]
