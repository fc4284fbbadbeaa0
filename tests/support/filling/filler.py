"""Fill every table of a database from its catalogue alone, set by set, in the order of the foreign keys."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from support.filling.order import CannotFillError, carriers, fill_order, share_out
from support.filling.tables import ForeignKey, Table, TableName, kinds, read_tables
from support.filling.values import Column, domain_of, value_for

__all__ = ["CannotFillError", "fill", "fill_order", "kinds", "read_tables", "share_out"]


def fill(url: str, *, rows: int, seed: int = 7, odd_spellings: bool = False) -> dict[str, int]:
    """Fill all tables of the user schemas with about ``rows`` rows altogether, at least one in each.

    The same seed gives the same rows. ``odd_spellings`` writes one uuid text in a thousand in upper case,
    in primary keys of one column that no foreign key references. Returns ``schema.table`` -> rows there.
    Raises ``CannotFillError`` for a column of unknown type or a table that stayed empty.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        tables = read_tables(connection)
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET work_mem = '64MB'")
        wanted = share_out(tables, rows)
        filling = _Filling(connection=connection, tables=tables, wanted=wanted, seed=seed, odd=odd_spellings)
        later: list[ForeignKey] = []
        done: set[TableName] = set()
        for name in fill_order(tables):
            later += filling.insert(tables[name], done)
            done.add(name)
        for key in later:
            filling.point(key)
        connection.execute("ANALYZE")
        return {".".join(name): filling.count(name) for name in sorted(tables)}


def _hash(n: Composable, *words: object) -> Composable:
    """A pseudo-random whole number from 0 up, the same for the same n and words."""
    salt = zlib.crc32("/".join(map(str, words)).encode())
    return SQL("(hashint8extended({}, {}) & 9223372036854775807)").format(n, Literal(salt))


_I = SQL("g.i")


@dataclass(frozen=True, kw_only=True)
class _Filling:
    """One call of ``fill``: the connection and what was decided beforehand."""

    connection: psycopg.Connection
    tables: Mapping[TableName, Table]
    wanted: Mapping[TableName, int]
    seed: int
    odd: bool

    def count(self, name: TableName) -> int:
        query = SQL("SELECT count(*) FROM {}").format(Identifier(*name))
        row = self.connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])

    def insert(self, table: Table, done: Iterable[TableName]) -> list[ForeignKey]:
        """Insert the table's rows; returns the foreign keys left NULL because their parent comes later."""
        filled = set(done)
        assigned: set[str] = set()
        now: list[ForeignKey] = []
        later: list[ForeignKey] = []
        itself: list[ForeignKey] = []
        for key in table.foreign_keys:
            if assigned.issuperset(key.columns):
                continue  # a wider key gave these columns their values: the parent's own key covers this one
            if assigned & set(key.columns):
                raise CannotFillError(f"{key.name} shares only some of its columns with another foreign key")
            assigned.update(key.columns)
            if key.parent == table.name and table.is_required(key):
                itself.append(key)
            else:
                (now if key.parent in filled else later).append(key)
        counts = {key.name: self._prepare_parent(key) for key in now}
        carrying = carriers(table, assigned)
        picks = {key.name: self._pick(table, key, carrying, now, counts) for key in now}
        expressions = self._expressions(table, now, later, carrying)
        for key in itself:
            # A row that references itself is right as soon as the statement ends.
            for column, parent_column in zip(key.columns, key.parent_columns, strict=True):
                expressions[column] = expressions[parent_column]
        self._run_insert(table, expressions, now, picks)
        return later

    def _prepare_parent(self, key: ForeignKey) -> int:
        """Number the parent's keys from 0 in a temporary table ``key.reference``; returns how many."""
        columns = SQL(", ").join(map(Identifier, key.parent_columns))
        not_null = SQL(" AND ").join(SQL("{} IS NOT NULL").format(Identifier(c)) for c in key.parent_columns)
        reference = Identifier("pg_temp", key.reference)
        self.connection.execute(SQL("DROP TABLE IF EXISTS {}").format(reference))
        query = SQL(
            "CREATE TEMP TABLE {} AS SELECT row_number() OVER (ORDER BY {}) - 1 AS n, {} FROM {} WHERE {}"
        ).format(Identifier(key.reference), columns, columns, Identifier(*key.parent), not_null)
        count = self.connection.execute(query).rowcount
        self.connection.execute(SQL("ANALYZE {}").format(reference))
        return count

    def _pick(
        self,
        table: Table,
        key: ForeignKey,
        carrying: set[str],
        now: Sequence[ForeignKey],
        counts: Mapping[str, int],
    ) -> Composable:
        """The number of the parent row that row i references."""
        count = max(1, counts[key.name])
        for unique in table.unique_keys:
            if unique & carrying or not unique & set(key.columns) or self._is_automatic(table, unique):
                continue
            # Unique through references only: count through all combinations, as digits of a number.
            stride = 1
            for other in now:
                if other.name == key.name:
                    break
                stride *= max(1, counts[other.name]) if unique & set(other.columns) else 1
            digit = SQL("(({i} - 1) / {stride}) % {count}").format(i=_I, stride=stride, count=count)
            if unique <= set(key.columns) and not table.is_required(key):
                return SQL("CASE WHEN {i} <= {count} THEN {i} - 1 END").format(i=_I, count=count)
            return digit
        pick = SQL("{} % {}").format(_hash(_I, self.seed, *table.name, key.name), count)
        return pick if table.is_required(key) else self._sometimes_null(pick, table, key.name)

    @staticmethod
    def _is_automatic(table: Table, unique: Iterable[str]) -> bool:
        return any(table.columns[name].is_automatic for name in unique)

    def _sometimes_null(self, value: Composable, table: Table, word: str) -> Composable:
        draw = _hash(_I, self.seed, *table.name, word, "null")
        return SQL("CASE WHEN {} > 2 AND {} % 10 = 0 THEN NULL ELSE {} END").format(_I, draw, value)

    def _expressions(
        self, table: Table, now: Sequence[ForeignKey], later: Sequence[ForeignKey], carrying: set[str]
    ) -> dict[str, Composable]:
        """Column -> the expression of its value in row i, for every column that is written."""
        expressions: dict[str, Composable] = {}
        for key in now:
            for child_column, parent_column in zip(key.columns, key.parent_columns, strict=True):
                expressions[child_column] = Identifier(key.reference, parent_column)
        left_out = {name for key in later for name in key.columns}
        for column in table.columns.values():
            if column.is_automatic or column.name in expressions or column.name in left_out:
                continue
            value = self._value(table, column, unique=column.name in carrying)
            if value is not None:
                expressions[column.name] = value
            elif column.not_null and column.default is None:
                raise CannotFillError(f"no values for {table.name} {column.name} of type {column.sql_type}")
        return expressions

    def _value(self, table: Table, column: Column, *, unique: bool) -> Composable | None:
        if unique:
            value = value_for(column, _I, unique=True)
            if value is not None and self.odd and self._may_be_odd(table, column):
                value = SQL("CASE WHEN {i} % 1000 = 0 THEN upper({v}) ELSE {v} END").format(i=_I, v=value)
            return value
        size = self._domain_size(column) if column.is_id or column.type == "uuid" else 100_000
        draw = SQL("({} % {} + 1)").format(_hash(_I, self.seed, *table.name, column.name), size)
        if column.is_id and column.kind == "mixed":
            draw = SQL("CASE WHEN {} = 1 THEN 1 ELSE {} END").format(_I, draw)
        value = value_for(column, draw, unique=False)
        return value if value is None or column.not_null else self._sometimes_null(value, table, column.name)

    def _may_be_odd(self, table: Table, column: Column) -> bool:
        referenced = any(
            key.parent == table.name and column.name in key.parent_columns
            for other in self.tables.values()
            for key in other.foreign_keys
        )
        is_whole_key = table.primary_key == (column.name,)
        return column.is_text and column.kind == "uuid" and is_whole_key and not referenced

    def _domain_size(self, column: Column) -> int:
        """How many values the domain has: the rows of the table where such a column is the whole key."""
        domain = domain_of(column)
        for name, table in self.tables.items():
            if len(table.primary_key) == 1 and domain_of(table.columns[table.primary_key[0]]) == domain:
                return self.wanted[name]
        return 1000

    def _run_insert(
        self,
        table: Table,
        expressions: Mapping[str, Composable],
        now: Sequence[ForeignKey],
        picks: Mapping[str, Composable],
    ) -> None:
        wanted = self.wanted[table.name]
        names = SQL(", ").join(map(Identifier, expressions))
        joins = SQL(" ").join(
            SQL("LEFT JOIN {} ON {} = {}").format(
                Identifier(key.reference), Identifier(key.reference, "n"), picks[key.name]
            )
            for key in now
        )
        values = SQL(", ").join(SQL("{} AS {}").format(value, Identifier(name)) for name, value in expressions.items())
        conditions = [SQL("({}) IS NOT FALSE").format(SQL(text)) for text in table.conditions]
        where = SQL(" AND ").join(conditions) if conditions else SQL("true")
        # A deferrable key cannot arbitrate ON CONFLICT; there the carriers alone must keep rows apart.
        ending = SQL("" if table.has_deferrable_key else "ON CONFLICT DO NOTHING")
        inserted = 0
        for attempt in range(4):
            first, last = attempt * wanted + 1, (attempt + 1) * wanted
            query = SQL(
                "INSERT INTO {} ({}) SELECT {} FROM"
                " (SELECT {} FROM generate_series({}::bigint, {}) AS g(i) {}) AS s WHERE {} {}"
            ).format(table.identifier, names, names, values, first, last, joins, where, ending)
            inserted += self.connection.execute(query).rowcount
            if inserted * 2 >= wanted:
                return
        if inserted == 0:
            raise CannotFillError(f"no generated row of {table.name} satisfied {table.conditions}")

    def point(self, key: ForeignKey) -> None:
        """Second pass: give most rows of a foreign key that was left NULL a parent."""
        count = self._prepare_parent(key)
        table = self.tables[key.child]
        reference = Identifier(key.reference)
        settings = SQL(", ").join(
            SQL("{} = r.{}").format(Identifier(column), Identifier(parent))
            for column, parent in zip(key.columns, key.parent_columns, strict=True)
            if not any(column in other.columns for other in table.foreign_keys if other is not key)
        )
        number = SQL("row_number() OVER (ORDER BY ctid)")
        is_unique = any(unique <= set(key.columns) for unique in table.unique_keys)
        draw = SQL("{} % {}").format(_hash(SQL("i"), key.name), count)
        pick = SQL("i - 1") if is_unique else draw
        query = SQL(
            "UPDATE {table} AS t SET {settings}"
            " FROM (SELECT ctid AS place, tableoid AS part, {number} AS i FROM {table}) AS s"
            " JOIN {reference} AS r ON r.n = {pick}"
            " WHERE t.ctid = s.place AND t.tableoid = s.part AND s.i % 10 <> 0"
        ).format(table=table.identifier, settings=settings, number=number, reference=reference, pick=pick)
        self.connection.execute(query)
