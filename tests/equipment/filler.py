"""Fill every table of a database from its catalogue alone, set by set, in the order of the foreign keys."""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

from .values import Column, Kind, domain_of, kind_of, value_for

TableName = tuple[str, str]  # schema, table
MINIMUM_ROWS = 5

_TABLES = """
SELECT c.oid, n.nspname AS schema, c.relname AS name,
       (SELECT string_agg('(' || pg_get_partition_constraintdef(inhrelid) || ')', ' OR ')
          FROM pg_inherits WHERE inhparent = c.oid AND c.relkind = 'p') AS partitions,
       ARRAY(SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint
              WHERE conrelid = c.oid AND contype = 'c' ORDER BY conname) AS checks,
       ARRAY(SELECT ARRAY(
                      SELECT attname::text FROM pg_attribute a
                       WHERE a.attrelid = c.oid
                         AND (a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                              OR EXISTS (SELECT FROM pg_depend d
                                          WHERE i.indexprs IS NOT NULL AND d.objid = i.indexrelid
                                            AND d.refobjid = c.oid AND d.refobjsubid = a.attnum))
                       ORDER BY attnum)::text
               FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique
              ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid) AS unique_keys,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND NOT i.indimmediate)
         AS has_deferrable_key,
       ARRAY(SELECT attname::text FROM pg_index i JOIN pg_attribute a
                 ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
              WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY attnum) AS primary_key
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 2, 3
"""

_COLUMNS = """
SELECT a.attrelid AS oid, a.attname AS name, coalesce(e.typname, b.typname) AS type,
       format_type(b.oid, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) AS sql_type,
       e.oid IS NOT NULL AS is_array, a.attnotnull OR t.typnotnull AS not_null,
       pg_get_expr(d.adbin, d.adrelid) AS default_expression,
       a.attidentity <> '' OR a.attgenerated <> ''
         OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%%', false) AS is_automatic,
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS typmod,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = coalesce(e.oid, b.oid)
              ORDER BY enumsortorder) AS labels
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
  LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum
"""

_FOREIGN_KEYS = """
SELECT k.conname AS name, k.conrelid AS oid, k.confrelid AS parent_oid,
       ARRAY(SELECT attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, ord)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = num ORDER BY ord) AS columns,
       ARRAY(SELECT attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, ord)
               JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = num
              ORDER BY ord) AS parent_columns
  FROM pg_constraint k
 WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY (%s)
 ORDER BY cardinality(k.conkey) DESC, k.conname
"""


class CannotFillError(Exception):
    """The filler has no value for a column, or no order for the tables; the message says which."""


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """``columns`` of ``child`` reference ``parent_columns`` of ``parent``, pairwise."""

    name: str
    child: TableName
    parent: TableName
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]

    @property
    def reference(self) -> str:
        """The temporary table that numbers the parent's keys; short, however long the key's own name is."""
        return f"ref_{zlib.crc32('/'.join((*self.child, self.name)).encode())}"


@dataclass(frozen=True, kw_only=True)
class Table:
    name: TableName
    columns: Mapping[str, Column]
    foreign_keys: tuple[ForeignKey, ...]  # the widest first
    unique_keys: tuple[frozenset[str], ...]  # the primary key first
    primary_key: tuple[str, ...]
    conditions: tuple[str, ...]  # what every row must satisfy: CHECKs and the bounds of the partitions
    has_deferrable_key: bool

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(*self.name)

    def must_come_after(self) -> set[TableName]:
        """Parents that need rows first: those a NOT NULL foreign key references, itself left out."""
        return {key.parent for key in self.foreign_keys if self.is_required(key)} - {self.name}

    def is_required(self, key: ForeignKey) -> bool:
        """Whether its columns cannot all stay NULL until the parent has rows."""
        return any(self.columns[name].not_null for name in key.columns)


def read_tables(connection: psycopg.Connection) -> dict[TableName, Table]:
    """All tables of the user schemas (partitions only through their parent), by name."""
    reader: psycopg.Cursor[Any] = connection.cursor(row_factory=namedtuple_row)
    with reader as cursor:
        tables = cursor.execute(_TABLES).fetchall()
        oids = [row.oid for row in tables]
        names: dict[int, TableName] = {row.oid: (row.schema, row.name) for row in tables}
        columns = cursor.execute(_COLUMNS, [oids]).fetchall()
        keys: dict[TableName, list[ForeignKey]] = {name: [] for name in names.values()}
        for row in cursor.execute(_FOREIGN_KEYS, [oids]).fetchall():
            keys[names[row.oid]].append(
                ForeignKey(
                    name=row.name,
                    child=names[row.oid],
                    parent=names[row.parent_oid],
                    columns=tuple(row.columns),
                    parent_columns=tuple(row.parent_columns),
                )
            )
    found: dict[TableName, Table] = {}
    for row in tables:
        own = [_column(row.name, column, row.checks) for column in columns if column.oid == row.oid]
        conditions = [*row.checks, row.partitions]
        found[row.schema, row.name] = Table(
            name=(row.schema, row.name),
            columns={column.name: column for column in own},
            foreign_keys=tuple(keys[row.schema, row.name]),
            unique_keys=tuple(frozenset(_parse_array(text)) for text in row.unique_keys),
            primary_key=tuple(row.primary_key),
            conditions=tuple(condition for condition in conditions if condition),
            has_deferrable_key=row.has_deferrable_key,
        )
    return found


def _parse_array(text: str) -> list[str]:
    """The names in the text form of a one-dimensional array (arrays of arrays cannot be ragged)."""
    return [re.sub(r"\\(.)", r"\1", a) or b for a, b in re.findall(r'"((?:[^"\\]|\\.)*)"|([^{},"]+)', text)]


def _column(table: str, row: Any, checks: Sequence[str]) -> Column:
    name, type_name, typmod = str(row.name), str(row.type), int(row.typmod)
    is_text = type_name in {"varchar", "bpchar"}
    limit = typmod - 4 if is_text and typmod > 4 else 63 if type_name == "name" else None
    choices = tuple(row.labels)
    for check in checks:
        # col = ANY (ARRAY['a'::text, …]) is what the server makes of col IN ('a', …).
        if re.match(rf'\(+"?{re.escape(name)}"?\)?(::\w+)? = ANY \(', check):
            choices = tuple(text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'::", check))
    kind = kind_of(table, name)
    return Column(
        table=table,
        name=name,
        type=type_name,
        sql_type=row.sql_type,
        is_array=row.is_array,
        not_null=row.not_null,
        default=row.default_expression,
        is_automatic=row.is_automatic,
        limit=limit,
        precision=(typmod - 4) >> 16 if type_name == "numeric" and typmod > 4 else None,
        scale=(typmod - 4) & 0x7FF if type_name == "numeric" and typmod > 4 else 2,
        choices=choices,
        kind="other" if limit is not None and limit < 36 else kind,
    )


def kinds(url: str) -> dict[tuple[str, str, str], Kind]:
    """(schema, table, column) -> what ``fill`` puts there, for every text (and text array) column.

    Foreign keys are followed to the column they end at; the rest is ``values.kind_of``.
    """
    with psycopg.connect(url) as connection:
        tables = read_tables(connection)
    return {
        (*name, column.name): _root(tables, name, column.name).kind
        for name, table in tables.items()
        for column in table.columns.values()
        if column.is_text
    }


def _root(tables: Mapping[TableName, Table], name: TableName, column: str) -> Column:
    seen = {(name, column)}
    while True:
        for key in tables[name].foreign_keys:
            if column in key.columns:
                target = (key.parent, key.parent_columns[key.columns.index(column)])
                break
        else:
            return tables[name].columns[column]
        if target in seen:
            return tables[name].columns[column]
        seen.add(target)
        name, column = target


def fill_order(tables: Mapping[TableName, Table]) -> list[TableName]:
    """Parents before children as far as NOT NULL foreign keys ask for it; nullable ones may point ahead.

    Raises ``CannotFillError`` when NOT NULL foreign keys form a ring through several tables.
    """
    order: list[TableName] = []
    waiting = dict(tables)
    while waiting:
        ready = [name for name, table in waiting.items() if not table.must_come_after() & set(waiting)]
        if not ready:
            raise CannotFillError(f"NOT NULL foreign keys form a ring through {sorted(waiting)}")
        # A nullable key rather comes after its parent as well: then no second pass is needed.
        easy = [
            name
            for name in ready
            if not ({key.parent for key in waiting[name].foreign_keys} - {name}) & set(waiting)
        ]
        for name in easy or ready[:1]:
            order.append(name)
            del waiting[name]
    return order


def share_out(tables: Mapping[TableName, Table], rows: int) -> dict[TableName, int]:
    """How many rows each table should get: logs, events and daily sums take most of ``rows``."""
    referenced = {key.parent for table in tables.values() for key in table.foreign_keys}
    weights: dict[TableName, float] = {}
    for name in tables:
        text = name[1].lower()
        weight = 1.0 if name in referenced else 0.5
        if re.search(r"logs?$", text):
            weight = 40.0
        elif "daily" in text and text.endswith("spend"):
            weight = 10.0
        elif re.search(r"index$|events?$|messages?$|audit|history|items?$|lines?$|token", text):
            weight = 6.0
        weights[name] = weight
    total = sum(weights.values())
    return {name: max(MINIMUM_ROWS, round(rows * weight / total)) for name, weight in weights.items()}


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


def _hash(n: sql.Composable, *words: object) -> sql.Composable:
    """A pseudo-random whole number from 0 up, the same for the same n and words."""
    salt = zlib.crc32("/".join(map(str, words)).encode())
    return sql.SQL("(hashint8extended({}, {}) & 9223372036854775807)").format(n, sql.Literal(salt))


_I = sql.SQL("g.i")


@dataclass(frozen=True, kw_only=True)
class _Filling:
    """One call of ``fill``: the connection and what was decided beforehand."""

    connection: psycopg.Connection
    tables: Mapping[TableName, Table]
    wanted: Mapping[TableName, int]
    seed: int
    odd: bool

    def count(self, name: TableName) -> int:
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*name))
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
        carriers = _carriers(table, assigned)
        picks = {key.name: self._pick(table, key, carriers, now, counts) for key in now}
        expressions = self._expressions(table, now, later, carriers)
        for key in itself:
            # A row that references itself is right as soon as the statement ends.
            for column, parent_column in zip(key.columns, key.parent_columns, strict=True):
                expressions[column] = expressions[parent_column]
        self._run_insert(table, expressions, now, picks)
        return later

    def _prepare_parent(self, key: ForeignKey) -> int:
        """Number the parent's keys from 0 in a temporary table ``key.reference``; returns how many."""
        columns = sql.SQL(", ").join(map(sql.Identifier, key.parent_columns))
        not_null = sql.SQL(" AND ").join(
            sql.SQL("{} IS NOT NULL").format(sql.Identifier(c)) for c in key.parent_columns
        )
        reference = sql.Identifier("pg_temp", key.reference)
        self.connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(reference))
        query = sql.SQL(
            "CREATE TEMP TABLE {} AS SELECT row_number() OVER (ORDER BY {}) - 1 AS n, {} FROM {} WHERE {}"
        ).format(sql.Identifier(key.reference), columns, columns, sql.Identifier(*key.parent), not_null)
        count = self.connection.execute(query).rowcount
        self.connection.execute(sql.SQL("ANALYZE {}").format(reference))
        return count

    def _pick(
        self,
        table: Table,
        key: ForeignKey,
        carriers: set[str],
        now: Sequence[ForeignKey],
        counts: Mapping[str, int],
    ) -> sql.Composable:
        """The number of the parent row that row i references."""
        count = max(1, counts[key.name])
        for unique in table.unique_keys:
            if unique & carriers or not unique & set(key.columns) or self._is_automatic(table, unique):
                continue
            # Unique through references only: count through all combinations, as digits of a number.
            stride = 1
            for other in now:
                if other.name == key.name:
                    break
                stride *= max(1, counts[other.name]) if unique & set(other.columns) else 1
            digit = sql.SQL("(({i} - 1) / {stride}) % {count}").format(i=_I, stride=stride, count=count)
            if unique <= set(key.columns) and not table.is_required(key):
                return sql.SQL("CASE WHEN {i} <= {count} THEN {i} - 1 END").format(i=_I, count=count)
            return digit
        pick = sql.SQL("{} % {}").format(_hash(_I, self.seed, *table.name, key.name), count)
        return pick if table.is_required(key) else self._sometimes_null(pick, table, key.name)

    @staticmethod
    def _is_automatic(table: Table, unique: Iterable[str]) -> bool:
        return any(table.columns[name].is_automatic for name in unique)

    def _sometimes_null(self, value: sql.Composable, table: Table, word: str) -> sql.Composable:
        draw = _hash(_I, self.seed, *table.name, word, "null")
        return sql.SQL("CASE WHEN {} > 2 AND {} % 10 = 0 THEN NULL ELSE {} END").format(_I, draw, value)

    def _expressions(
        self, table: Table, now: Sequence[ForeignKey], later: Sequence[ForeignKey], carriers: set[str]
    ) -> dict[str, sql.Composable]:
        """Column -> the expression of its value in row i, for every column that is written."""
        expressions: dict[str, sql.Composable] = {}
        for key in now:
            for child_column, parent_column in zip(key.columns, key.parent_columns, strict=True):
                expressions[child_column] = sql.Identifier(key.reference, parent_column)
        left_out = {name for key in later for name in key.columns}
        for column in table.columns.values():
            if column.is_automatic or column.name in expressions or column.name in left_out:
                continue
            value = self._value(table, column, unique=column.name in carriers)
            if value is not None:
                expressions[column.name] = value
            elif column.not_null and column.default is None:
                raise CannotFillError(f"no values for {table.name} {column.name} of type {column.sql_type}")
        return expressions

    def _value(self, table: Table, column: Column, *, unique: bool) -> sql.Composable | None:
        if unique:
            value = value_for(column, _I, unique=True)
            if value is not None and self.odd and self._may_be_odd(table, column):
                value = sql.SQL("CASE WHEN {i} % 1000 = 0 THEN upper({v}) ELSE {v} END").format(i=_I, v=value)
            return value
        size = self._domain_size(column) if column.is_id or column.type == "uuid" else 100_000
        draw = sql.SQL("({} % {} + 1)").format(_hash(_I, self.seed, *table.name, column.name), size)
        if column.is_id and column.kind == "mixed":
            draw = sql.SQL("CASE WHEN {} = 1 THEN 1 ELSE {} END").format(_I, draw)
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
        expressions: Mapping[str, sql.Composable],
        now: Sequence[ForeignKey],
        picks: Mapping[str, sql.Composable],
    ) -> None:
        wanted = self.wanted[table.name]
        names = sql.SQL(", ").join(map(sql.Identifier, expressions))
        joins = sql.SQL(" ").join(
            sql.SQL("LEFT JOIN {} ON {} = {}").format(
                sql.Identifier(key.reference), sql.Identifier(key.reference, "n"), picks[key.name]
            )
            for key in now
        )
        values = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(value, sql.Identifier(name)) for name, value in expressions.items()
        )
        conditions = [sql.SQL("({}) IS NOT FALSE").format(sql.SQL(text)) for text in table.conditions]
        where = sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")
        # A deferrable key cannot arbitrate ON CONFLICT; there the carriers alone must keep rows apart.
        ending = sql.SQL("" if table.has_deferrable_key else "ON CONFLICT DO NOTHING")
        inserted = 0
        for attempt in range(4):
            first, last = attempt * wanted + 1, (attempt + 1) * wanted
            query = sql.SQL(
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
        reference = sql.Identifier(key.reference)
        settings = sql.SQL(", ").join(
            sql.SQL("{} = r.{}").format(sql.Identifier(column), sql.Identifier(parent))
            for column, parent in zip(key.columns, key.parent_columns, strict=True)
            if not any(column in other.columns for other in table.foreign_keys if other is not key)
        )
        number = sql.SQL("row_number() OVER (ORDER BY ctid)")
        is_unique = any(unique <= set(key.columns) for unique in table.unique_keys)
        draw = sql.SQL("{} % {}").format(_hash(sql.SQL("i"), key.name), count)
        pick = sql.SQL("i - 1") if is_unique else draw
        query = sql.SQL(
            "UPDATE {table} AS t SET {settings}"
            " FROM (SELECT ctid AS place, tableoid AS part, {number} AS i FROM {table}) AS s"
            " JOIN {reference} AS r ON r.n = {pick}"
            " WHERE t.ctid = s.place AND t.tableoid = s.part AND s.i % 10 <> 0"
        ).format(table=table.identifier, settings=settings, number=number, reference=reference, pick=pick)
        self.connection.execute(query)


_CARRIER_RANK = {
    "int8": 2, "uuid": 2, "int4": 3, "numeric": 4, "timestamp": 5, "timestamptz": 5, "bytea": 6,
    "date": 7, "inet": 8, "float8": 8, "oid": 8, "int2": 9,
}  # fmt: skip


def _carriers(table: Table, assigned: set[str]) -> set[str]:
    """The columns whose value is made from the row's number alone, one for each unique key.

    A key needs none when the server makes one of its columns or when another key's carrier is in it. Keys
    that consist of foreign keys only get none: see ``_Filling._pick``.
    """
    chosen: set[str] = set()
    for unique in sorted(table.unique_keys, key=len):
        if unique & chosen or any(table.columns[name].is_automatic for name in unique):
            continue
        candidates = [
            (_rank(column), column.name)
            for name in unique - assigned
            if (column := table.columns[name]) and _rank(column) is not None
        ]
        if candidates:
            chosen.add(min((rank, name) for rank, name in candidates if rank is not None)[1])
    return chosen


def _rank(column: Column) -> int | None:
    """How well a column can keep rows apart (0 best); None when it cannot."""
    if column.choices or column.is_array or re.search(r"(^|_)date$", column.name):
        return None
    if column.is_text:
        return 0 if column.kind == "other" else 1
    return _CARRIER_RANK.get(column.type)
