"""Views beside the live ones: built over the next tables before the lock, so that the swap only moves them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.errors import NeedsOperator
from replank.values.table_spec import Relation, building_schema
from sql.access.readers import make_schema
from sql.catalogue.dependents import Dependents, View, looking_in, read_views
from sql.catalogue.inheritance import parents_first
from sql.next_table.builder import copy_options, next_default
from sql.next_table.extended_statistics import create_statistics, read_statistics
from sql.next_table.indexes import build_index, marks, read_indexes, set_statistics_targets
from sql.session.connection import Connection, rows, value
from sql.session.named_queries import query
from sql.session.statements import IN_PG_CATALOG, Statement, stated
from sql.session.table_names import live_table, next_table, server_text


def make_schemas(connection: Connection, dependents: Dependents) -> Iterator[Statement]:
    """The next and past schemas of all that is replaced, wherever it lies."""
    statistics = read_statistics(connection, dependents.succeeded)
    names = {name for r in dependents.replaced for name in (r.next_schema, r.past_schema)}
    names |= {function.past_schema for function in dependents.functions}
    names |= {name for s in statistics for name in (s.next_schema, s.past_schema)}
    for name in sorted(names):
        yield from make_schema(connection, name)


def building_schemas(connection: Connection, *prefixes: str) -> set[str]:
    """The schemas in which others are built, e.g. `replank_next_shop` for `shop`, also those of earlier runs."""
    found = {name for (name,) in connection.execute("SELECT nspname::text FROM pg_namespace").fetchall()}
    return found & {building_schema(prefix, name) for name in found for prefix in prefixes}


def build_views_beside(connection: Connection, dependents: Dependents) -> Iterator[Statement]:
    """Build every view again over the next tables, for one transaction: one snapshot for all their rows.

    Raises NeedsOperator if a view would keep reading a relation that goes away.
    """
    for view in dependents.views:
        yield from create_view(connection, dependents, view)
    for view in dependents.views:
        yield from give_parts(connection, dependents, view)
    for view in dependents.views:
        if view.materialized:
            yield from fill(connection, view)


def drop_views_beside(connection: Connection, relations: Iterable[Relation]) -> Iterator[Statement]:
    """Drop what an earlier attempt built over these next tables."""
    names = [(relation.next_schema, relation.name) for relation in relations]
    wanted = {"schemas": [schema for schema, _ in names], "names": [name for _, name in names]}
    views = read_views(connection, [found["oid"] for found in rows(connection, query("dependents.by_name"), wanted)])
    for view in (view for view in reversed(views) if view.schema.startswith("replank_next")):
        kind = SQL("MATERIALIZED VIEW" if view.materialized else "VIEW")
        yield Statement(sql=SQL("DROP {} IF EXISTS {}").format(kind, live_table(view)))


def create_view(connection: Connection, dependents: Dependents, view: View) -> Iterator[Statement]:
    """The view as it is defined, over the next tables, with its options, owner, grants and comment; no rows yet."""
    with looking_in(connection, dependents.live_path(view.schema)):
        written = value(connection, query("dependents.definition"), {"oid": view.oid})
    definition = server_text(str(written).rstrip().rstrip(";"))
    kind, empty = SQL("VIEW"), SQL("")
    stored: Composable = SQL("")
    if view.materialized:
        kind, empty = SQL("MATERIALIZED VIEW"), SQL("WITH NO DATA")
        if view.access_method is not None:
            stored = SQL("USING {}").format(Identifier(view.access_method))
    created = SQL("CREATE {} {} {} AS {} {}").format(kind, next_table(view), stored, definition, empty)
    yield Statement(sql=created, settings={"search_path": dependents.next_path(view.schema)})
    yield from copy_options(connection, view)
    _refuse_held_back(connection, dependents, view)


def give_parts(connection: Connection, dependents: Dependents, view: View) -> Iterator[Statement]:
    """Defaults, comments, rules and triggers. Every view has been created: a rule may write into another."""
    with looking_in(connection, dependents.live_path(view.schema)):
        defaults = rows(connection, query("dependents.defaults"), {"oid": view.oid})
        parts = rows(connection, query("dependents.view_parts"), {"oid": view.oid})
        parts += rows(connection, query("dependents.rules"), {"oid": view.oid})
    types = column_types(connection, view.next_schema, view.name)
    settings = {"search_path": dependents.next_path(view.schema)}
    for default in defaults:
        expression: Composable = server_text(default["expression"])
        if types[default["column"]] != default["type"]:
            expression = next_default(default["expression"], types[default["column"]])
        given = SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}")
        yield Statement(
            sql=given.format(next_table(view), Identifier(default["column"]), expression), settings=settings
        )
    for part in parts:
        yield Statement(sql=server_text(part["statement"]), settings=settings)
    _refuse_held_back(connection, dependents, view)


def fill(connection: Connection, view: View, *, rows_too: bool = True) -> Iterator[Statement]:
    """A materialized view's rows, as its owner sees them, its indexes and statistics. `rows_too` only if it has any."""
    filled = rows_too and view.populated
    if filled:
        yield Statement(sql=SQL("REFRESH MATERIALIZED VIEW {}").format(next_table(view)), settings=IN_PG_CATALOG)
    for index in read_indexes(connection, [view]):
        yield build_index(asdict(index))
        yield from stated(marks(index))
    yield from set_statistics_targets(connection, view)
    yield from create_statistics(connection, [view])
    if filled:
        yield Statement(sql=SQL("ANALYZE {}").format(next_table(view)), settings=IN_PG_CATALOG)


def column_types(connection: Connection, schema: str, name: str) -> dict[str, str]:
    """Column → type, in order."""
    found = rows(connection, query("dependents.column_types"), {"schema": schema, "name": name})
    return {column["name"]: column["type"] for column in found}


def _refuse_held_back(connection: Connection, dependents: Dependents, view: View) -> None:
    """A relation whose name is hidden by another's is spelled with its schema: then the new view reads the old one."""
    named = {"oids": dependents.oids, "schema": view.next_schema, "name": view.name}
    old = [found["name"] for found in rows(connection, query("dependents.held_back"), named)]
    if old:
        raise NeedsOperator(
            f"{view.full_name} reads {', '.join(old)} by a name that another relation hides, so it cannot be built for "
            "the new tables. Rename one of them, or drop the view and create it again after the run."
        )


def moved_views(views: Sequence[View]) -> list[Composable]:
    """At the swap: the old ones to the past, the new ones in their place."""
    moves = [(live_table(view), view.past_schema) for view in views]
    moves += [(next_table(view), view.schema) for view in views]
    return [SQL("ALTER TABLE {} SET SCHEMA {}").format(name, Identifier(to)) for name, to in moves]


def lock_script(
    connection: Connection,
    views: Sequence[View],
    tables: Sequence[tuple[str, str]],
) -> Composable:
    """Locks views before tables, the outer views first, as every query does: else each reader were a deadlock.

    LOCK itself would take a view's tables with it, in its own order: a change of owner that changes
    nothing takes the same lock on the view alone.
    """
    names = SQL(", ").join(Identifier(*name) for name in parents_first(connection, tables))
    lock = SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names)
    if not views:
        return lock
    first = view_locks(views)
    # One statement, so that statement_timeout bounds all of it.
    body = SQL("BEGIN {}; END").format(SQL("; ").join([*first, lock]))
    return SQL("DO {}").format(Literal(body.as_string(connection)))


def view_locks(views: Sequence[View]) -> list[Composable]:
    """Statements that lock views, the outer ones first."""
    return [
        SQL("ALTER TABLE {} OWNER TO {}").format(live_table(view), Identifier(view.owner)) for view in reversed(views)
    ]


def drop_empty_schemas(connection: Connection, names: Iterable[str]) -> None:
    """Schemas that Replank made and that have done their work; one that holds something stays."""
    for schema in sorted(names):
        held = connection.execute(
            "SELECT FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid"
            " WHERE d.refclassid = 'pg_namespace'::regclass AND d.deptype IN ('n', 'a') AND n.nspname = %s LIMIT 1",
            [schema],
        ).fetchone()
        if held is None:
            connection.execute(SQL("DROP SCHEMA IF EXISTS {}").format(Identifier(schema)))
