"""Extended statistics: made on the next table with its indexes, so that its first ANALYZE fills them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import Relation, building_schema
from sql.access.readers import make_schema
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.statements import IN_PG_CATALOG, Statement
from sql.session.table_names import next_table, server_text


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """One statistics object. `columns` is SQL that names no table; `kinds` is None where there is no choice."""

    relation: int
    schema: str
    name: str
    columns: str
    kinds: str | None
    target: int | None
    owner: str
    comment: str | None

    @property
    def next_schema(self) -> str:
        return building_schema("replank_next", self.schema)

    @property
    def past_schema(self) -> str:
        return building_schema("replank_past", self.schema)


def read_statistics(connection: Connection, relations: Iterable[Relation]) -> list[Statistics]:
    """The extended statistics of live relations; they may lie in any schema."""
    oids = [relation.oid for relation in relations]
    return [Statistics(**found) for found in rows(connection, query("dependents.statistics"), {"oids": oids})]


def create_statistics(connection: Connection, relations: Sequence[Relation]) -> Iterator[Statement]:
    """Give the next relations what the live ones have."""
    by_oid = {relation.oid: relation for relation in relations}
    for statistics in read_statistics(connection, relations):
        yield from make_schema(connection, statistics.next_schema)
        owned = _is_me(connection, statistics.owner)
        made = _made(statistics, by_oid[statistics.relation], owned=owned)
        yield from (Statement(sql=each, settings=IN_PG_CATALOG) for each in made)


def _is_me(connection: Connection, owner: str) -> bool:
    found = connection.execute("SELECT current_user = %s", [owner]).fetchone()
    return found is not None and bool(found[0])


def _made(statistics: Statistics, relation: Relation, *, owned: bool) -> list[Composable]:
    name = Identifier(statistics.next_schema, statistics.name)
    kinds = SQL("") if statistics.kinds is None else server_text(f"({statistics.kinds})")
    made: list[Composable] = [
        SQL("CREATE STATISTICS {} {} ON {} FROM {}").format(
            name, kinds, server_text(statistics.columns), next_table(relation)
        )
    ]
    if statistics.target is not None:
        made.append(SQL("ALTER STATISTICS {} SET STATISTICS {}").format(name, statistics.target))
    if statistics.comment is not None:
        made.append(SQL("COMMENT ON STATISTICS {} IS {}").format(name, statistics.comment))
    if not owned:
        made.append(SQL("ALTER STATISTICS {} OWNER TO {}").format(name, Identifier(statistics.owner)))
    return made


def moved_statistics(connection: Connection, relations: Iterable[Relation]) -> list[Composable]:
    """At the swap: the old ones to the past, the new ones in their place. They do not follow their table."""
    found = read_statistics(connection, relations)
    moves = [(s.schema, s.name, s.past_schema) for s in found] + [(s.next_schema, s.name, s.schema) for s in found]
    return [
        SQL("ALTER STATISTICS {} SET SCHEMA {}").format(Identifier(schema, name), Identifier(to))
        for schema, name, to in moves
    ]
