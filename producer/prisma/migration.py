"""The migration that makes of an older database what the run made of the live one: plain SQL, offline.

Prisma applies it to empty databases (its shadow database, a new developer's); on the live one it is only recorded
as done. It keeps rows too, under locks: a copy for tests may be migrated with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from producer.enum_types import EnumType, enum_types, make_types
from producer.prisma.cache_migration import CacheStatements, cache_statements
from producer.prisma.changes import Change, RenamedColumn, RenamedTable
from producer.prisma.conditional_indexes import ConditionalIndex, conditional_indexes
from producer.prisma.elsewhere import alter_table, where_it_is
from producer.prisma.given_up import given_up_checks, given_up_keys
from producer.prisma.migration_head import head_of
from producer.prisma.planned_changes import converted_default, is_converted
from producer.prisma.relayout import Named, relaid
from producer.prisma.renames import renames_done, steps_now
from producer.prisma.schema_names import Table
from producer.prisma.step_migration import checks_of_values, step_statements, value_of
from producer.prisma.view_migration import views_over
from producer.steps.mappings import renamed_tables
from replank.errors import WrongUse
from replank.plan import AddedColumnPlan, ColumnPlan, Plan, TablePlan
from replank.table_spec import Relation
from sql import prisma
from sql.catalogue import ForeignKey, LiveTable, read_foreign_keys, read_tables
from sql.connection import Connection, apply_settings
from sql.conversion import is_valid, name_based
from sql.indexes import constraint_name, quoted
from sql.next_table import server_text
from sql.on_update import function_name, on_update

NAME_BASED = sql.Identifier("pg_temp", "replank_name_based")

Pairs = Sequence[tuple[TablePlan, LiveTable]]


def migration_script(connection: Connection, plan: Plan, default_schema: str, changes: Iterable[Change] = ()) -> str:
    """The whole of migration.sql. `changes` are those of the schema file: names that it gives up come first.

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
            indexes=conditional_indexes(connection, pairs, steps.indexes, found, types),
            cache=cache_statements(connection, steps.permission_cache),
        )
        with connection.transaction(force_rollback=True):
            make_types(connection, plan)
            statements = [r.as_string(connection) for r in _renamed(renames, named)]
            statements += [s.as_string(connection) for s in of_steps]
            statements += _statements(connection, pairs, parts)
    return head_of(plan) + "".join(f"\n{statement};\n" for statement in statements)


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What the statements over the plan's tables need besides them."""

    named: Named
    types: Mapping[str, EnumType]
    indexes: Sequence[ConditionalIndex]
    cache: CacheStatements | None


def _renamed(renames: Iterable[Change], named: Named) -> Iterator[sql.Composable]:
    """Old names become new ones: columns before their tables."""
    # Whoever told of them: the same script for a file that was rewritten already.
    for one in sorted(renames, key=lambda change: (isinstance(change, RenamedTable), repr(change))):
        match one:
            case RenamedColumn():
                words = sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}")
                yield words.format(named(*one.table), sql.Identifier(one.column), sql.Identifier(one.to))
            case RenamedTable():
                yield sql.SQL("ALTER TABLE {} RENAME TO {}").format(named(*one.table), sql.Identifier(one.to))


def _statements(connection: Connection, pairs: Pairs, parts: _Parts) -> Iterator[str]:
    named, types, cache = parts.named, parts.types, parts.cache
    oids = [table.oid for _, table in pairs]
    views = views_over(connection, oids, own=None if cache is None else cache.view)
    keys = [key for key in read_foreign_keys(connection, oids) if _touched(key, pairs)]
    composed: list[sql.Composable] = []
    if any(column.on_invalid == "name_based" for planned, _ in pairs for column in planned.columns):
        composed.append(_name_based())
    composed += views.dropped(named)
    for key in keys:
        dropped = sql.SQL("{} DROP CONSTRAINT IF EXISTS {}")
        composed.append(dropped.format(alter_table((key.schema, key.table_name), named), sql.Identifier(key.name)))
    for planned, table in pairs:
        composed += given_up_keys(planned, named(table.schema, table.name))
    composed += [gone for index in parts.indexes if (gone := index.dropped(named)) is not None]
    for planned, table in pairs:
        composed += _altered(connection, planned, table, named, types)
    for planned, table in pairs:
        if planned.partition is not None:
            composed += relaid(connection, table, named)
        composed += _on_update(planned, table, named)
    composed += [made for index in parts.indexes if (made := index.made(named)) is not None]
    for key in keys:
        added = sql.SQL("{} ADD CONSTRAINT {} {}")
        definition = server_text(key.definition)
        composed.append(
            added.format(alter_table((key.schema, key.table_name), named), sql.Identifier(key.name), definition)
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
) -> Iterator[sql.Composable]:
    """Types, new columns, NOT NULL and defaults of one table, each column in one action after the other."""
    actions: list[sql.Composable] = []
    yield from given_up_checks(planned, named(table.schema, table.name))
    checks = checks_of_values(connection, planned, table, types)
    for check in checks:
        actions.append(sql.SQL("DROP CONSTRAINT IF EXISTS {}").format(sql.Identifier(check.name)))
    for column in planned.columns:
        name = sql.Identifier(column.name)
        to = column.to if column.type is None else types[column.type].spelled
        cast = _cast(column) if column.type is None else value_of(column, types)
        actions.append(sql.SQL("ALTER COLUMN {} DROP DEFAULT").format(name))
        actions.append(sql.SQL("ALTER COLUMN {} TYPE {} USING {}").format(name, server_text(to), cast))
        with prisma.every_schema_named(connection):
            default = converted_default(connection, table, column, types)
        if default:
            actions.append(sql.SQL("ALTER COLUMN {} SET DEFAULT {}").format(name, server_text(default)))
    actions += [action for column in planned.add for action in _added(table, column)]
    for filled in planned.fill:
        name = sql.Identifier(filled.name)
        if filled.default is not None:
            actions.append(sql.SQL("ALTER COLUMN {} SET DEFAULT {}").format(name, server_text(filled.default)))
        if filled.not_null:
            actions.append(sql.SQL("ALTER COLUMN {} SET NOT NULL").format(name))
    for check in (check for check in checks if check.becomes is not None):
        actions.append(sql.SQL("ADD CONSTRAINT {} {}").format(sql.Identifier(check.name), check.becomes))
    if actions:
        lines = sql.SQL(",\n  ").join(actions)
        yield sql.SQL("{}\n  {}").format(alter_table((table.schema, table.name), named), lines)


def _cast(column: ColumnPlan) -> sql.Composable:
    """A text as the uuid that the run makes of it. USING takes no subquery, so names go through a function."""
    name = sql.Identifier(column.name)
    if column.to == "uuid[]":
        return sql.SQL("{}::text[]::uuid[]").format(name)
    cast = sql.SQL("{}::text::uuid").format(name)
    # There is no quarantine offline: a row that would have gone there stops the script.
    if column.on_invalid in ("fail", "quarantine"):
        return cast
    other: sql.Composable = sql.SQL("NULL")
    if column.on_invalid == "name_based":
        other = sql.SQL("{}({}::text)").format(NAME_BASED, name)
    # The pattern of before version 16: the script must run on any server.
    return sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(is_valid(name, 0), cast, other)


def _name_based() -> sql.Composable:
    """A function of this session's own that makes the uuid of a text that is none."""
    body = sql.SQL("SELECT {}").format(name_based(sql.SQL("$1"))).as_string(None)
    return sql.SQL("CREATE OR REPLACE FUNCTION {}(text) RETURNS uuid LANGUAGE sql IMMUTABLE AS {}").format(
        NAME_BASED, sql.Literal(body)
    )


def _added(table: LiveTable, column: AddedColumnPlan) -> Iterator[sql.Composable]:
    default = sql.SQL(" DEFAULT {}").format(server_text(column.default)) if column.default else sql.SQL("")
    not_null = sql.SQL(" NOT NULL" if column.not_null else "")
    name = sql.Identifier(column.name)
    yield sql.SQL("ADD COLUMN {} {}{}{}").format(name, server_text(column.type), default, not_null)
    if column.unique:
        constraint = sql.Identifier(constraint_name(table.name, column.name, "key"))
        yield sql.SQL("ADD CONSTRAINT {} UNIQUE ({})").format(constraint, name)


def _on_update(planned: TablePlan, table: LiveTable, named: Named) -> list[sql.Composable]:
    """The trigger that keeps columns like `updated_at`, as the run has made it."""
    updates = [(added.name, added.on_update) for added in planned.add if added.on_update]
    updates += [(filled.name, filled.on_update) for filled in planned.fill if filled.on_update]
    name = function_name(Relation(oid=table.oid, schema=table.schema, name=table.name))
    made = on_update(named(table.schema, name), sql.Identifier(name), named(table.schema, table.name), updates)
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
