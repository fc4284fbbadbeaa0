"""What the catalogue says about the tables that are to be filled, and what each text column shall hold."""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from psycopg.sql import Identifier

from support.filling.values import Column, Kind, kind_of

TableName = tuple[str, str]  # schema, table

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
    def identifier(self) -> Identifier:
        return Identifier(*self.name)

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
