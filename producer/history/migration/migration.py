"""The migration that makes of an older database what the run made of the live one: plain SQL, offline.

Prisma and Alembic apply it to empty databases (a shadow database, a new developer's); on the live one it is only
recorded as done. It keeps rows too, under locks: a copy for tests may be migrated with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier, Literal

from producer.history.changes.changes import Change, RenamedColumn, RenamedTable, Table
from producer.history.changes.names_now import renames_done, steps_now
from producer.history.changes.table_changes import converted_default, is_converted
from producer.history.migration.conditional_indexes import ConditionalIndex, conditional_indexes
from producer.history.migration.given_up import given_up_checks, given_up_keys
from producer.history.migration.other_schemas import alter_table, where_it_is
from producer.history.migration.partitioning import Named, relaid
from producer.history.migration.pattern_indexes import patterns_given_up
from producer.history.migration.permission_cache import CacheStatements, cache_statements
from producer.history.migration.steps import checks_of_values, step_statements, value_of
from producer.history.migration.views import views_over
from producer.steps.enum_types import EnumType, enum_types, make_types
from producer.steps.mappings import renamed_tables
from replank.errors import WrongUse
from replank.names import joined_name
from replank.plan.plan import Plan
from replank.plan.tables.table_plan import AddedColumnPlan, ColumnPlan, TablePlan
from replank.values.table_spec import Relation
from sql.catalogue import prisma
from sql.catalogue.catalogue import ForeignKey, LiveTable, read_foreign_keys, read_tables
from sql.next_table.on_update_trigger import function_name, on_update
from sql.session.connection import Connection, apply_settings
from sql.session.statements import scratch
from sql.session.table_names import quoted, server_text
from sql.values.uuid_texts import is_valid, name_based

NAME_BASED = Identifier("pg_temp", "replank_name_based")

Pairs = Sequence[tuple[TablePlan, LiveTable]]


def migration_statements(
    connection: Connection, plan: Plan, default_schema: str, changes: Iterable[Change] = ()
) -> list[str]:
    """The statements, in order. `changes` are those of the tool's models: names that they give up come first.

    Relations of `default_schema` are written bare.

    Raises WrongUse where the plan does not fit, or names and partitions are not there yet.
    """
    waiting = renamed_tables(connection, plan.steps)
    if waiting:
        raise WrongUse(f"Step 07 has not run yet ({waiting[0].said} has its old names): write the migration after it.")
    renames = renames_done(connection, [c for c in changes if isinstance(c, RenamedTable | RenamedColumn)])
    found = {(table.schema, table.name): table for table in read_tables(connection)}
    pairs: list[tuple[TablePlan, LiveTable]] = []
    for _, planned in plan.wanted_tables:
        table = found.get((planned.table_schema, planned.name))
        if table is None:
            raise WrongUse(f"table {planned.full_name} of the plan is not in this database")
        pairs.append((planned, table))
    named = Named(default_schema=default_schema)
    with connection.transaction():
        # Definitions then leave the schema away that Prisma's connection leads to.
        apply_settings(connection, {"search_path": quoted(default_schema)}, local=True)
        steps = steps_now(plan.steps, found)
        of_steps = list(step_statements(connection, steps, list(found.values()), named))
        types = enum_types(connection, plan)
        parts = _Parts(
            named=named,
            types=types,
            indexes=conditional_indexes(
                connection, pairs, steps.indexes, found, types, plain_patterns=plan.options.gives_up_patterns
            ),
            cache=cache_statements(connection, steps.permission_cache),
            plain_patterns=plan.options.gives_up_patterns,
        )
        with scratch(connection):
            make_types(connection, plan)
            statements = [r.as_string(connection) for r in _renamed(renames, named)]
            statements += [s.as_string(connection) for s in of_steps]
            statements += _statements(connection, pairs, parts)
    return statements


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What the statements over the plan's tables need besides them."""

    named: Named
    types: Mapping[str, EnumType]
    indexes: Sequence[ConditionalIndex]
    cache: CacheStatements | None
    plain_patterns: bool


def _renamed(renames: Iterable[Change], named: Named) -> Iterator[Composable]:
    """Old names become new ones: columns before their tables."""
    # Whoever told of them: the same script for a file that was rewritten already.
    for one in sorted(renames, key=lambda change: (isinstance(change, RenamedTable), repr(change))):
        match one:
            case RenamedColumn():
                words = SQL("ALTER TABLE {} RENAME COLUMN {} TO {}")
                yield words.format(named(*one.table), Identifier(one.column), Identifier(one.to))
            case RenamedTable():
                yield SQL("ALTER TABLE {} RENAME TO {}").format(named(*one.table), Identifier(one.to))


def _statements(connection: Connection, pairs: Pairs, parts: _Parts) -> Iterator[str]:
    named, types, cache = parts.named, parts.types, parts.cache
    oids = [table.oid for _, table in pairs]
    views = views_over(connection, oids, own=None if cache is None else cache.view)
    keys = [key for key in read_foreign_keys(connection, oids) if _touched(key, pairs)]
    composed: list[Composable] = []
    if any(column.on_invalid == "name_based" for planned, _ in pairs for column in planned.columns):
        composed.append(_name_based())
    composed += views.dropped(named)
    for key in keys:
        dropped = SQL("{} DROP CONSTRAINT IF EXISTS {}")
        composed.append(dropped.format(alter_table((key.schema, key.table_name), named), Identifier(key.name)))
    for planned, table in pairs:
        composed += given_up_keys(planned, named(table.schema, table.name))
    if parts.plain_patterns:
        for planned, table in pairs:
            composed += patterns_given_up(connection, planned, table, named)
    composed += [gone for index in parts.indexes if (gone := index.dropped(named)) is not None]
    for planned, table in pairs:
        composed += _altered(connection, planned, table, named, types)
    for planned, table in pairs:
        if planned.partition is not None:
            composed += relaid(connection, table, named)
        composed += _on_update(planned, table, named)
    composed += [made for index in parts.indexes if (made := index.made(named)) is not None]
    for key in keys:
        added = SQL("{} ADD CONSTRAINT {} {}")
        definition = server_text(key.definition)
        composed.append(
            added.format(alter_table((key.schema, key.table_name), named), Identifier(key.name), definition)
        )
    composed += cache.tables if cache is not None else ()
    composed += views.made(named, own=None if cache is None else cache.made_view)
    composed += cache.functions if cache is not None else ()
    return (statement.as_string(connection) for statement in composed)


def _touched(key: ForeignKey, pairs: Iterable[tuple[TablePlan, LiveTable]]) -> bool:
    """Whether a foreign key stands in the way: its columns change their type, or one of its tables is made anew."""
    for planned, table in pairs:
        columns = {column.name for column in planned.columns}
        for oid, over in ((key.table_oid, key.columns), (key.ref_oid, key.ref_columns)):
            if oid == table.oid and (planned.partition is not None or columns & set(over)):
                return True
    return False


def _altered(
    connection: Connection, planned: TablePlan, table: LiveTable, named: Named, types: Mapping[str, EnumType]
) -> Iterator[Composable]:
    """Types, new columns, NOT NULL and defaults of one table, each column in one action after the other."""
    actions: list[Composable] = []
    yield from given_up_checks(planned, named(table.schema, table.name))
    checks = checks_of_values(connection, planned, table, types)
    for check in checks:
        actions.append(SQL("DROP CONSTRAINT IF EXISTS {}").format(Identifier(check.name)))
    for column in planned.columns:
        name = Identifier(column.name)
        to = column.to if column.type is None else types[column.type].spelled
        cast = _cast(column) if column.type is None else value_of(column, types)
        actions.append(SQL("ALTER COLUMN {} DROP DEFAULT").format(name))
        actions.append(SQL("ALTER COLUMN {} TYPE {} USING {}").format(name, server_text(to), cast))
        with prisma.every_schema_named(connection):
            default = converted_default(connection, table, column, types)
        if default:
            actions.append(SQL("ALTER COLUMN {} SET DEFAULT {}").format(name, server_text(default)))
    actions += [action for column in planned.add for action in _added(table, column)]
    for filled in planned.fill:
        name = Identifier(filled.name)
        if filled.default is not None:
            actions.append(SQL("ALTER COLUMN {} SET DEFAULT {}").format(name, server_text(filled.default)))
        if filled.not_null:
            actions.append(SQL("ALTER COLUMN {} SET NOT NULL").format(name))
    for check in (check for check in checks if check.becomes is not None):
        actions.append(SQL("ADD CONSTRAINT {} {}").format(Identifier(check.name), check.becomes))
    if actions:
        lines = SQL(",\n  ").join(actions)
        yield SQL("{}\n  {}").format(alter_table((table.schema, table.name), named), lines)


def _cast(column: ColumnPlan) -> Composable:
    """A text as the uuid that the run makes of it. USING takes no subquery, so names go through a function."""
    name = Identifier(column.name)
    if column.to == "uuid[]":
        return SQL("{}::text[]::uuid[]").format(name)
    cast = SQL("{}::text::uuid").format(name)
    # There is no quarantine offline: a row that would have gone there stops the script.
    if column.on_invalid in ("fail", "quarantine"):
        return cast
    other: Composable = SQL("NULL")
    if column.on_invalid == "name_based":
        other = SQL("{}({}::text)").format(NAME_BASED, name)
    # The pattern of before version 16: the script must run on any server.
    return SQL("CASE WHEN {} THEN {} ELSE {} END").format(is_valid(name, 0), cast, other)


def _name_based() -> Composable:
    """A function of this session's own that makes the uuid of a text that is none."""
    body = SQL("SELECT {}").format(name_based(SQL("$1"))).as_string(None)
    return SQL("CREATE OR REPLACE FUNCTION {}(text) RETURNS uuid LANGUAGE sql IMMUTABLE AS {}").format(
        NAME_BASED, Literal(body)
    )


def _added(table: LiveTable, column: AddedColumnPlan) -> Iterator[Composable]:
    default = SQL(" DEFAULT {}").format(server_text(column.default)) if column.default else SQL("")
    not_null = SQL(" NOT NULL" if column.not_null else "")
    name = Identifier(column.name)
    yield SQL("ADD COLUMN {} {}{}{}").format(name, server_text(column.type), default, not_null)
    if column.unique:
        constraint = Identifier(joined_name(table.name, column.name, ending="_key"))
        yield SQL("ADD CONSTRAINT {} UNIQUE ({})").format(constraint, name)


def _on_update(planned: TablePlan, table: LiveTable, named: Named) -> list[Composable]:
    """The trigger that keeps columns like `updated_at`, as the run has made it."""
    updates = [(added.name, added.on_update) for added in planned.add if added.on_update]
    updates += [(filled.name, filled.on_update) for filled in planned.fill if filled.on_update]
    name = function_name(Relation(oid=table.oid, schema=table.schema, name=table.name))
    made = on_update(named(table.schema, name), Identifier(name), named(table.schema, table.name), updates)
    return [where_it_is((table.schema, table.name), statement, named) for statement in made]


def unchanged(connection: Connection, plan: Plan) -> list[str]:
    """What of the plan is not in the database yet, e.g. `public.orders.id is still text`."""
    found = {(table.schema, table.name): table for table in read_tables(connection)}
    missing: list[str] = []
    types = enum_types(connection, plan)
    for _, planned in plan.wanted_tables:
        named: Table = (planned.table_schema, planned.name)
        table = found.get(named)
        if table is None:
            missing.append(f"{planned.full_name} is not there")
            continue
        for column in planned.columns:
            live = table.column(column.name)
            if live is None or not is_converted(live, column, types):
                missing.append(f"{planned.full_name}.{column.name} is still {live.type if live else 'missing'}")
        missing += [f"{planned.full_name}.{a.name} is not there" for a in planned.add if table.column(a.name) is None]
        if planned.partition is not None and table.partitioned != (planned.partition.by != "none"):
            missing.append(f"{planned.full_name} is not partitioned as planned")
    return missing


def refuse_unchanged(connection: Connection, plan: Plan) -> None:
    """Raises WrongUse where the plan is not carried out: nothing may be recorded as applied then."""
    missing = unchanged(connection, plan)
    if missing:
        listed = "; ".join(missing[:3])
        raise WrongUse(f"The database is not migrated yet: {listed}. `replank run` first, then stamp it with --apply.")
