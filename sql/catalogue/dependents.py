"""What hangs on a table and follows it at the cutover: views, functions, policies, rules, publications.

Definitions are not edited. The server writes them with the names that a search_path shortens; the same
text under a search_path that has each next schema before its live one means the next relations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import Relation, TableSpec, building_schema
from sql.session.connection import Connection, apply_settings, rows
from sql.session.named_queries import query
from sql.session.table_names import quoted, server_text


@dataclass(frozen=True, kw_only=True)
class View(Relation):
    """A view or materialized view that reads a planned relation, itself or through other views."""

    materialized: bool
    populated: bool
    owner: str
    access_method: str | None


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function that uses a planned relation's row type, or names one in a body that the server has parsed."""

    oid: int
    schema: str
    signature: str

    @property
    def past_schema(self) -> str:
        return building_schema("replank_past", self.schema)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that is made on the new relations at the swap, and how. `schema` is where names are looked up first."""

    what: str
    name: str
    schema: str
    statements: tuple[str, ...]
    table: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dependents:
    """The relations that are replaced, and all that has to follow them. Views come in the order of building."""

    relations: tuple[Relation, ...]
    kept: tuple[Relation, ...]
    """Those of them that stay: not the partitions of a table that the plan partitions otherwise."""
    views: tuple[View, ...]
    functions: tuple[Function, ...]

    @property
    def replaced(self) -> tuple[Relation, ...]:
        return (*self.relations, *self.views)

    @property
    def succeeded(self) -> tuple[Relation, ...]:
        return (*self.kept, *self.views)

    @property
    def oids(self) -> list[int]:
        return [relation.oid for relation in self.replaced]

    @property
    def function_oids(self) -> list[int]:
        return [function.oid for function in self.functions]

    def live_path(self, first: str) -> str:
        """A search_path of all schemas whose relations are replaced, `first` before the others."""
        return quoted(*self._schemas(first))

    def next_path(self, first: str) -> str:
        """The same with each next schema before its live one: each name finds the new relation."""
        return quoted(*(name for s in self._schemas(first) for name in (building_schema("replank_next", s), s)))

    def _schemas(self, first: str) -> list[str]:
        return sorted({relation.schema for relation in self.replaced}, key=lambda name: (name != first, name))


def read_dependents(connection: Connection, specs: Iterable[TableSpec]) -> Dependents:
    """What hangs on these tables and their partitions now. Tables that are filled in place replace nothing."""
    rebuilt = [spec for spec in specs if spec.method == "rebuild"]
    given = tuple(relation for spec in rebuilt for relation in spec.relations)
    views = read_views(connection, [relation.oid for relation in given])
    everything = [relation.oid for relation in (*given, *views)]
    functions = rows(connection, query("dependents.functions"), {"oids": everything})
    return Dependents(
        relations=given,
        kept=tuple(r for spec in rebuilt for r in (spec.relations if spec.layout is None else (spec,))),
        views=tuple(views),
        functions=tuple(Function(**f) for f in functions),
    )


def read_views(connection: Connection, oids: Sequence[int]) -> list[View]:
    """Views over the given relations, in the order in which they can be built."""
    return [View(**found) for found in rows(connection, query("dependents.views"), {"oids": list(oids)})]


def joined(connection: Connection, oids: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of a relation of `oids` and what reads it: a view, a function, or a table whose policy or rule does.

    Also of a table and one that it inherits from.

    Relations that meet in one of these have to be swapped together.
    """
    found = rows(connection, query("dependents.joined"), {"oids": list(oids)})
    return [(pair["relation"], pair["meets"]) for pair in found]


@contextmanager
def looking_in(connection: Connection, path: str) -> Iterator[None]:
    """Names are looked up in `path`, afterwards in pg_catalog alone. For the inside of a transaction."""
    apply_settings(connection, {"search_path": path}, local=True)
    yield
    apply_settings(connection, {"search_path": "pg_catalog"}, local=True)


def read_parts(connection: Connection, dependents: Dependents, *, before_swap: bool) -> list[Part]:
    """Functions, policies, rules and publications, as statements.

    With names in full, for the new relations in their places; or (`before_swap`) in names that
    `Dependents.next_path` makes mean the next ones. The latter inside a transaction only.
    """
    found = [
        Part(
            what="function",
            name=function.signature,
            schema=function.schema,
            statements=tuple(_read(connection, dependents, "function", function.oid, function.schema, before_swap)[""]),
        )
        for function in dependents.functions
    ]
    for block, what in (("policies", "row security policy"), ("rules", "rule"), ("publications", "publication")):
        for relation in dependents.kept:
            made = _read(connection, dependents, block, relation.oid, relation.schema, before_swap)
            found += [
                Part(
                    what=what if name else "row security",
                    name=f"{name} of {relation.full_name}" if name else relation.full_name,
                    schema=relation.schema,
                    statements=tuple(statements),
                    table=relation.full_name,
                )
                for name, statements in made.items()
            ]
    return found


def _read(
    connection: Connection, dependents: Dependents, block: str, oid: int, schema: str, before_swap: bool
) -> dict[str, list[str]]:
    """Name → statements, in their order; functions are not told apart by name."""
    if before_swap:
        with looking_in(connection, dependents.live_path(schema)):
            found = rows(connection, query(f"dependents.{block}"), {"oid": oid})
    else:
        found = rows(connection, query(f"dependents.{block}"), {"oid": oid})
    made: dict[str, list[str]] = {"": []} if block == "function" else {}
    for each in found:
        made.setdefault(each.get("name", ""), []).append(each["statement"])
    return made


def taken_out(connection: Connection, dependents: Dependents) -> list[Composable]:
    """Before the relations move: out of the publications that name them, and the functions out of the way."""
    made: list[Composable] = []
    for relation in dependents.kept:
        found = rows(connection, query("dependents.publications"), {"oid": relation.oid})
        made += [server_text(publication["taken_out"]) for publication in found]
    return made + [moved_away(function) for function in dependents.functions]


def views_taken_out(connection: Connection, dependents: Dependents) -> list[Part]:
    """The same of publications, for next relations that are in them: in names that `next_path` makes mean these."""
    made: list[Part] = []
    for relation in dependents.kept:
        with looking_in(connection, dependents.live_path(relation.schema)):
            found = rows(connection, query("dependents.publications"), {"oid": relation.oid})
        made += [
            Part(
                what="the membership in publication",
                name=f"{publication['name']} of {relation.full_name}",
                schema=relation.schema,
                statements=(publication["taken_out"],),
                table=relation.full_name,
            )
            for publication in found
        ]
    return made


def moved_away(function: Function) -> Composable:
    """A function's row types are those of the past tables from the swap on: so it goes with them."""
    return SQL("ALTER ROUTINE {} SET SCHEMA {}").format(
        server_text(function.signature), Identifier(function.past_schema)
    )
