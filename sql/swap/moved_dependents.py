"""What hangs on relations and moves with them between schemas: views, functions, extended statistics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import Relation, building_schema
from sql.catalogue.dependents import Function, View, read_views
from sql.next_table.extended_statistics import Statistics, read_statistics
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.table_names import live_table, server_text

PAST = "replank_past"
ROLLED_BACK = "replank_rolled_back"


@dataclass(frozen=True, kw_only=True)
class Hanging:
    """Views come in the order of building."""

    views: tuple[View, ...]
    functions: tuple[Function, ...]
    statistics: tuple[Statistics, ...]

    @property
    def past_schemas(self) -> set[str]:
        schemas = [each.schema for each in self.views] + [each.schema for each in self.functions]
        return {away(schema) for schema in schemas + [each.schema for each in self.statistics]}


def hanging_on(connection: Connection, relations: Iterable[Relation]) -> Hanging:
    """What hangs on relations where they are; what does not lie in schemas of their kind is not theirs to move."""
    roots = list(relations)
    views = read_views(connection, [relation.oid for relation in roots])
    everything = [*roots, *views]
    found = rows(connection, query("dependents.functions"), {"oids": [relation.oid for relation in everything]})
    return Hanging(
        views=tuple(views),
        functions=tuple(Function(**function) for function in found),
        statistics=tuple(read_statistics(connection, everything)),
    )


def away(schema: str) -> str:
    """Where what lies in a live schema goes when the past tables come back."""
    return building_schema(ROLLED_BACK, schema)


def home(schema: str) -> str:
    """Which live schema something in a past schema came from; one that lies elsewhere stays where it is."""
    if schema == PAST:
        return "public"
    return schema.removeprefix(PAST + "_")


def move(each: View | Function | Statistics, to: str) -> Composable:
    """To another schema; nothing where it is there already."""
    target = Identifier(to)
    if each.schema == to:
        return SQL("SELECT")
    if isinstance(each, Function):
        return SQL("ALTER ROUTINE {} SET SCHEMA {}").format(server_text(each.signature), target)
    if isinstance(each, View):
        return SQL("ALTER TABLE {} SET SCHEMA {}").format(live_table(each), target)
    return SQL("ALTER STATISTICS {} SET SCHEMA {}").format(Identifier(each.schema, each.name), target)
