"""Before the application starts: what is there already. No other client may write meanwhile."""

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import psycopg
from psycopg.sql import SQL

from demo.clients.model import Model
from demo.clients.names import Names
from demo.clients.tables import Key, Row, Table, Tables

S = TypeVar("S")

Counter = tuple[str, str, str]
"""Table, column and id of a row that is shared by all clients."""

# A small table has fewer rows than are wanted: so many probes in a row without a new one are enough.
_MOST_PROBES_IN_VAIN = 10


class NothingThere(LookupError):
    """The database does not hold the tables that the application works on, with rows in them."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """How the database was at the start.

    counters: values that clients will count up or down; totals: table -> rows that belong to no client.
    """

    counters: dict[Counter, int]
    totals: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Adoption(Generic[S]):
    """Whose the rows are that are there already: some are in the clients' models, others are shared.

    with_strangers: own rows whose children are not all known; they are changed, and neither deleted nor re-keyed.
    """

    shared: S
    beginning: Beginning
    with_strangers: frozenset[tuple[str, Key]] = frozenset()


class Reader:
    """Reads rows by the names that hold now."""

    def __init__(self, connection: psycopg.Connection, tables: Tables, names: Names) -> None:
        self._connection = connection
        self._tables = tables
        self._names = names
        self._selects: dict[tuple[str, tuple[str, ...]], bytes] = {}

    def rows(self, table: Table, by: Sequence[str], values: Key) -> Iterator[Row]:
        """Rows, all columns as text, whose columns `by` have these values."""
        statement = self._selects.get((table.name, tuple(by))) or self._select(table, tuple(by))
        for found in self._connection.execute(statement, values).fetchall():
            yield dict(zip(table.columns, found, strict=True))

    def probe(self, table: Table, column: str, wanted: int, rng: random.Random) -> tuple[str, ...]:
        """Up to `wanted` ids scattered over the table, without reading all of it, in random order."""
        name = self._names.column(table, column)
        query = SQL("SELECT {0}::text FROM {1} WHERE {0} >= %s ORDER BY {0} LIMIT 1").format(
            name, self._names.relation(table)
        )
        statement = query.as_bytes(None)
        found: dict[str, None] = {}
        in_vain = 0
        while len(found) < wanted and in_vain < _MOST_PROBES_IN_VAIN:
            before = len(found)
            # Untyped, as everywhere: a uuid column and a text column both take it.
            probe = str(uuid.UUID(int=rng.getrandbits(128)))
            rows = self._connection.execute(statement, [probe]).fetchall()
            found.update((row_id, None) for (row_id,) in rows)
            in_vain = in_vain + 1 if len(found) == before else 0
        return tuple(found)

    def begin(self, models: Sequence[Model], counted: Sequence[tuple[str, str, Sequence[str]]]) -> Beginning:
        """The values of these (table, column, ids), and how many rows have no owner."""
        counters = {
            (table, column, row_id): self._number(self._tables[table], column, row_id)
            for table, column, ids in counted
            for row_id in ids
        }
        totals = {
            name: self._count(table) - sum(len(model.rows[name]) for model in models)
            for name, table in self._tables.by_name.items()
        }
        return Beginning(counters=counters, totals=totals)

    def _number(self, table: Table, column: str, row_id: str) -> int:
        query = SQL("SELECT {} FROM {} WHERE {} = %s").format(
            self._names.column(table, column), self._names.relation(table), self._names.column(table, table.key[0])
        )
        ((value,),) = self._connection.execute(query, [row_id]).fetchall()
        return int(value)

    def _count(self, table: Table) -> int:
        query = SQL("SELECT count(*) FROM {}").format(self._names.relation(table))
        (number,) = self._connection.execute(query).fetchone() or (0,)
        return int(number)

    def _select(self, table: Table, by: tuple[str, ...]) -> bytes:
        """Composed once: a client adopts many rows."""
        query = SQL("SELECT {} FROM {} WHERE {}").format(
            SQL(", ").join(SQL("{}::text").format(self._names.column(table, name)) for name in table.columns),
            self._names.relation(table),
            SQL(" AND ").join(SQL("{} = %s").format(self._names.column(table, name)) for name in by),
        )
        self._selects[table.name, by] = query.as_bytes(None)
        return self._selects[table.name, by]
