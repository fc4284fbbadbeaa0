"""Probe writes: rows that a table would take, made from one that is there or from nothing. Their caller rolls back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from sql.catalogue.relations import NamedTable
from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import query

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ProbedColumn:
    """A column as `pg_attribute` has it, its domain resolved. `parent` is schema, table and column, where one leads."""

    name: str
    type: str
    category: str
    full_type: str
    length: int | None
    not_null: bool
    has_default: bool
    generated: bool
    always: bool
    label: str | None
    refers: bool
    parent: Sequence[str] | None

    @property
    def identifier(self) -> Identifier:
        return Identifier(self.name)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What has to be known of a table to write to it. `uniques` are the columns of each key."""

    table: NamedTable
    columns: tuple[ProbedColumn, ...]
    uniques: tuple[tuple[str, ...], ...]
    referenced: bool

    @property
    def identifier(self) -> Identifier:
        return Identifier(self.table.schema, self.table.name)

    @property
    def settable(self) -> tuple[ProbedColumn, ...]:
        return tuple(column for column in self.columns if not column.generated)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a row is, and what it holds."""

    relation: int
    tid: str
    row: Row


def read_shape(connection: Connection, table: NamedTable) -> Shape:
    oid = {"oid": table.oid}
    return Shape(
        table=table,
        columns=tuple(ProbedColumn(**r) for r in rows(connection, query("probing.columns"), oid)),
        uniques=tuple(tuple(r["columns"]) for r in rows(connection, query("probing.uniques"), oid)),
        referenced=bool(value(connection, query("probing.referenced"), oid)),
    )


_PLACE = SQL("p.tableoid::bigint AS relation, p.ctid::text AS tid, to_jsonb(p.*) AS row")
_AT = SQL("p.tableoid = {}::oid AND p.ctid = {}::tid")


def _at(place: Place) -> Composed:
    return _AT.format(Literal(place.relation), Literal(place.tid))


def _found(connection: Connection, statement: Composable) -> Place | None:
    found = row(connection, statement)
    return None if found is None else Place(**found)


def some_row(connection: Connection, shape: Shape) -> Place | None:
    """A row that no other session holds, locked until the transaction ends; None where there is none."""
    statement = SQL("SELECT {} FROM {} AS p LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED").format(_PLACE, shape.identifier)
    return _found(connection, statement)


def update_in_place(connection: Connection, shape: Shape, place: Place) -> Place | None:
    """Set a column of the row to what it is. None where a trigger or a rule made nothing of it."""
    keys = [c for c in shape.settable if not c.always and c.name in shape.table.key]
    column = (keys or [c for c in shape.settable if not c.always])[0].identifier
    statement = SQL("UPDATE {} AS p SET {} = p.{} WHERE {} RETURNING {}").format(
        shape.identifier, column, column, _at(place), _PLACE
    )
    return _found(connection, statement)


def insert_copy(connection: Connection, shape: Shape, place: Place, *, defaults: bool) -> Place | None:
    """A copy of a row with other values in its keys: new ones, or the defaults of columns that have some."""
    replaced = _new_keys(shape)
    left_out = {c.name for c in shape.settable if defaults and c.has_default and c.name in replaced}
    columns = [column for column in shape.settable if column.name not in left_out]
    values = [replaced.get(column.name, Identifier("r", column.name)) for column in columns]
    source = SQL("{} AS r WHERE r.tableoid = {}::oid AND r.ctid = {}::tid").format(
        shape.identifier, Literal(place.relation), Literal(place.tid)
    )
    statement = SQL("INSERT INTO {} AS p ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} RETURNING {}").format(
        shape.identifier, _names(columns), SQL(", ").join(values), source, _PLACE
    )
    return _found(connection, statement)


def insert_again(connection: Connection, shape: Shape, place: Place) -> Place | None:
    """Delete a row that no other refers to, and insert the same row, in one statement."""
    statement = SQL(
        "WITH gone AS (DELETE FROM {} AS p WHERE {} RETURNING p.*)"
        " INSERT INTO {} AS p ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM gone RETURNING {}"
    ).format(shape.identifier, _at(place), shape.identifier, _PLACE, columns=_names(shape.settable))
    return _found(connection, statement)


def insert_made(connection: Connection, shape: Shape) -> Place | None:
    """A row made of nothing: defaults, NULLs, new keys, and any row that a foreign key may lead to."""
    values = dict(_new_keys(shape))
    for column in shape.settable:
        if column.name not in values and column.not_null and (column.refers or not column.has_default):
            made = _any_parent(column) if column.parent is not None else _sample(column)
            if made is not None:
                values[column.name] = made
    columns = [column for column in shape.settable if column.name in values]
    if not columns:
        statement = SQL("INSERT INTO {} AS p DEFAULT VALUES RETURNING {}").format(shape.identifier, _PLACE)
        return _found(connection, statement)
    statement = SQL("INSERT INTO {} AS p ({}) OVERRIDING SYSTEM VALUE SELECT {} RETURNING {}").format(
        shape.identifier, _names(columns), SQL(", ").join(values[c.name] for c in columns), _PLACE
    )
    return _found(connection, statement)


def delete_row(connection: Connection, shape: Shape, place: Place) -> Place | None:
    return _found(
        connection,
        SQL("DELETE FROM {} AS p WHERE {} RETURNING {}").format(shape.identifier, _at(place), _PLACE),
    )


def _names(columns: Sequence[ProbedColumn]) -> Composed:
    return SQL(", ").join(column.identifier for column in columns)


def _new_keys(shape: Shape) -> Mapping[str, Composable]:
    """A new value for one column of each key; for keys that are foreign keys only, a parent without a row here."""
    by_name = {column.name: column for column in shape.settable}
    replaced: dict[str, Composable] = {}
    for key in shape.uniques:
        if any(name in replaced for name in key):
            continue
        columns = [by_name[name] for name in key if name in by_name]
        made = next(
            ((c.name, new) for c in sorted(columns, key=_last_choice) if not c.refers and (new := _new(c)) is not None),
            None,
        ) or next(((c.name, _free_parent(shape, c)) for c in columns if c.parent is not None), None)
        if made is not None:
            replaced[made[0]] = made[1]
    return replaced


def _last_choice(column: ProbedColumn) -> int:
    if column.type == "uuid":
        return 0
    return {"S": 1, "N": 2}.get(column.category, 3)


def _new(column: ProbedColumn) -> Composable | None:
    """A random value that no other row has; None for types that have too few."""
    new = _RANDOM.get(column.type)
    if new is None and column.category == "S":
        new = "pg_catalog.gen_random_uuid()::text"
    if new is None:
        return None
    if column.length is not None:
        new = f"left({new}, {column.length})"
    return SQL("({})::{}").format(SQL(new), SQL(column.full_type))


_RANDOM = {
    "uuid": "pg_catalog.gen_random_uuid()",
    "int2": "-1 - floor(random() * 32000)",
    "int4": "-1 - floor(random() * 2000000000)",
    "int8": "-1 - floor(random() * 1e15)",
    "numeric": "-random()",
    "float4": "-random()",
    "float8": "-random()",
    "timestamp": "clock_timestamp() AT TIME ZONE 'UTC'",
    "timestamptz": "clock_timestamp()",
}
"""Negative numbers: no sequence of the application's ever comes to them."""

_SAMPLES = {
    "bool": "false",
    "date": "current_date",
    "json": "'{}'",
    "jsonb": "'{}'",
    "bytea": "''",
    "interval": "'0'",
    "time": "'0:00'",
    "inet": "'127.0.0.1'",
}


def _sample(column: ProbedColumn) -> Composable | None:
    """Any value of the type; None where nothing is known of it."""
    if column.label is not None:
        text: str | None = None
        made: Composable = Literal(column.label)
    else:
        text = "'{}'" if column.category == "A" else _SAMPLES.get(column.type)
        made = SQL(text or "")
        if text is None:
            return _new(column)
    return SQL("({})::{}").format(made, SQL(column.full_type))


def _any_parent(column: ProbedColumn) -> Composed:
    assert column.parent is not None
    schema, table, name = column.parent
    return SQL("(SELECT {} FROM {} AS parent WHERE {} IS NOT NULL LIMIT 1)").format(
        Identifier("parent", name), Identifier(schema, table), Identifier("parent", name)
    )


def _free_parent(shape: Shape, column: ProbedColumn) -> Composed:
    assert column.parent is not None
    schema, table, name = column.parent
    return SQL(
        "(SELECT {ref} FROM {parent} AS parent WHERE {ref} IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM {child} AS taken WHERE {own} = {ref}) LIMIT 1)"
    ).format(
        ref=Identifier("parent", name),
        parent=Identifier(schema, table),
        child=shape.identifier,
        own=Identifier("taken", column.name),
    )
