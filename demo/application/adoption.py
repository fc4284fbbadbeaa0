"""Before the application starts: which rows that are there already belong to which client.

Each client adopts some users with everything below them, so that old rows are changed, re-keyed and
deleted too; a rebuild treats those otherwise than rows that are new.
"""

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import psycopg
from psycopg import sql

from demo.application.actor import Shared
from demo.application.model import Key, Model, Row
from demo.application.shop import REFERENCES_TO, TABLES, Table

_USERS_PER_CLIENT = 12
_SHARED_ROWS = 40
# A small table has fewer rows than are wanted: so many probes in a row without a new one are enough.
_MOST_PROBES_IN_VAIN = 10

# Columns of shared rows that are only ever counted up or down.
COUNTED: tuple[tuple[str, str], ...] = (("products", "stock"), ("products", "sold"), ("User", "loginCount"))


class NoShop(LookupError):
    """The database holds no sample shop with rows in it."""


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """How the database was at the start.

    counters: (table, column, id) -> value; totals: table -> rows that belong to no client.
    """

    shared: Shared
    counters: dict[tuple[str, str, str], int]
    totals: dict[str, int]


def adopt(connection: psycopg.Connection, models: Sequence[Model], rng: random.Random) -> Adoption:
    """Give each model its rows; read the shared rows' counters. Nobody else may write meanwhile.

    Raises NoShop when there is nothing to adopt.
    """
    users = _probe(connection, "User", len(models) * _USERS_PER_CLIENT + _SHARED_ROWS, rng)
    counted = users[: min(_SHARED_ROWS, len(users) // 2)]
    shared = Shared(
        tenants=_probe(connection, "tenants", _SHARED_ROWS, rng),
        products=_probe(connection, "products", 4 * _SHARED_ROWS, rng),
        users=counted,
        tags=_probe(connection, "Tag", _SHARED_ROWS, rng),
    )
    if not (shared.tenants and shared.products and shared.users and shared.tags):
        raise NoShop("the application needs the sample shop, filled: run create_sample first")
    for number, user in enumerate(users[len(counted) :]):
        model = models[number % len(models)]
        for row in _select(connection, TABLES["User"], ("id",), (user,)):
            _adopt_below(connection, model, "User", row)
        model.commit()
    return Adoption(
        shared=shared,
        counters=_read_counters(connection, shared),
        totals={
            name: _count(connection, table) - sum(len(model.rows[name]) for model in models)
            for name, table in TABLES.items()
        },
    )


def _adopt_below(connection: psycopg.Connection, model: Model, table: str, row: Row) -> None:
    """Put the row and all its children, theirs too, into the model."""
    key: Key = model.put(table, row)
    for reference in REFERENCES_TO[table]:
        for child in _select(connection, TABLES[reference.child], reference.columns, key):
            _adopt_below(connection, model, reference.child, child)


def _select(connection: psycopg.Connection, table: Table, by: Sequence[str], values: Key) -> Iterator[Row]:
    """Rows, all columns as text, whose columns `by` have these values."""
    for found in connection.execute(_select_statement(table, tuple(by)), values).fetchall():
        yield dict(zip(table.columns, found, strict=True))


@cache
def _select_statement(table: Table, by: tuple[str, ...]) -> bytes:
    return (
        sql.SQL("SELECT {} FROM {} WHERE {}")
        .format(
            sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in table.columns),
            sql.Identifier(table.schema, table.name),
            sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in by),
        )
        .as_bytes(None)
    )


def _probe(connection: psycopg.Connection, table: str, wanted: int, rng: random.Random) -> tuple[str, ...]:
    """Up to `wanted` ids scattered over the table, without reading all of it, in random order."""
    query = sql.SQL("SELECT id::text FROM {} WHERE id >= %s ORDER BY id LIMIT 1").format(sql.Identifier(table))
    statement = query.as_bytes(None)
    found: dict[str, None] = {}
    in_vain = 0
    while len(found) < wanted and in_vain < _MOST_PROBES_IN_VAIN:
        before = len(found)
        # Untyped, as everywhere: a uuid column and a text column both take it.
        probe = str(uuid.UUID(int=rng.getrandbits(128)))
        found.update((row_id, None) for (row_id,) in connection.execute(statement, [probe]).fetchall())
        in_vain = in_vain + 1 if len(found) == before else 0
    return tuple(found)


def _read_counters(connection: psycopg.Connection, shared: Shared) -> dict[tuple[str, str, str], int]:
    counters: dict[tuple[str, str, str], int] = {}
    for table, column in COUNTED:
        query = sql.SQL("SELECT {} FROM {} WHERE id = %s").format(sql.Identifier(column), sql.Identifier(table))
        for row_id in shared.products if table == "products" else shared.users:
            for (value,) in connection.execute(query, [row_id]).fetchall():
                counters[table, column, row_id] = value
    return counters


def _count(connection: psycopg.Connection, table: Table) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.schema, table.name))
    (number,) = connection.execute(query).fetchone() or (0,)
    return int(number)
