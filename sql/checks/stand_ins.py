"""Empty stand-ins for tables at the other end of foreign keys: what would be referenced is tried, and locks nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Identifier

from replank.values.table_spec import TableSpec, building_schema
from sql.catalogue.dependents import looking_in
from sql.session.connection import Connection, row, value
from sql.session.named_queries import query
from sql.session.statements import Statement
from sql.session.table_names import quoted, server_text

Name = tuple[str, str]


def make_stand_ins(
    connection: Connection, specs: Iterable[TableSpec], foreign_keys: Sequence[Mapping[str, Any]]
) -> Iterator[Statement]:
    """Tables beside the next ones, with the columns of those outside of the plan and what is referenced of them.

    For a transaction that is rolled back. They are made from the catalogue: LIKE would need to read the table.
    """
    members = {(relation.schema, relation.name) for spec in specs for relation in spec.relations}
    made: set[Name] = set()
    for key in foreign_keys:
        for named in ((key["schema"], key["table_name"]), (key["ref_schema"], key["ref_table"])):
            if named not in members | made and not _is_there(connection, named):
                yield from _create(connection, named)
                made.add(named)
    known: set[int] = set()
    for key in foreign_keys:
        unique = row(connection, query("foreign_keys.unique_key"), {"oid": key["oid"]})
        if (key["ref_schema"], key["ref_table"]) in made and unique is not None and unique["index"] not in known:
            known.add(unique["index"])
            yield _make_unique(connection, key)


def beside(named: Name) -> Identifier:
    return Identifier(building_schema("replank_next", named[0]), named[1])


def _is_there(connection: Connection, named: Name) -> bool:
    """A table that the plan fills in place has a next one in the trial too."""
    wanted = {"schema": building_schema("replank_next", named[0]), "name": named[1]}
    return value(connection, query("swap_back.oid_of"), wanted) is not None


def _create(connection: Connection, named: Name) -> Iterator[Statement]:
    columns = value(connection, query("foreign_keys.stand_in"), {"schema": named[0], "name": named[1]})
    schema = Identifier(building_schema("replank_next", named[0]))
    yield Statement(sql=SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
    yield Statement(sql=SQL("CREATE TABLE {} ({})").format(beside(named), server_text(columns)))


def _make_unique(connection: Connection, key: Mapping[str, Any]) -> Statement:
    named = (key["ref_schema"], key["ref_table"])
    with looking_in(connection, quoted(named[0])):
        unique = row(connection, query("foreign_keys.unique_key"), {"oid": key["oid"]})
    assert unique is not None
    if unique["name"] is not None:
        added = SQL("ALTER TABLE {} ADD CONSTRAINT {} {}")
        definition = server_text(unique["constraint_definition"])
        return Statement(sql=added.format(beside(named), Identifier(unique["name"]), definition))
    path = quoted(building_schema("replank_next", named[0]), named[0])
    return Statement(sql=server_text(unique["index_definition"]), settings={"search_path": path})
