"""What the plan gives up, in the migration script: the live database has it no longer, but its history makes it.

So a copy is asked for what it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.plan.tables.table_plan import TablePlan
from sql.next_table.pattern_indexes import pattern_of_keys

CHECKS = """\
DO $checks$
DECLARE
  each name;
BEGIN
  FOR each IN
    SELECT c.conname FROM pg_catalog.pg_constraint AS c
     WHERE c.conrelid = to_regclass({table}) AND c.contype = 'c' AND EXISTS (
       SELECT FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) AND a.attname IN ({columns}))
  LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', {table}, each);
  END LOOP;
END
$checks$"""

KEYS = """\
DO $keys$
DECLARE
  each record;
BEGIN
  FOR each IN
    SELECT c.conrelid::regclass AS of_table, c.conname FROM pg_catalog.pg_constraint AS c
     WHERE c.confrelid = to_regclass({table}) AND c.contype = 'f' AND c.conparentid = 0
  LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.of_table, each.conname);
  END LOOP;
END
$keys$"""

PATTERNS = """\
DO $patterns$
DECLARE
  each record;
BEGIN
  FOR each IN
    SELECT i.indexrelid::regclass::text AS index, c.relname AS name, i.indisreplident AS identity,
           i.indisclustered AS clustered, obj_description(i.indexrelid, 'pg_class') AS said,
           regexp_replace(replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '), {keys}, '\\1', 'g') AS plain
      FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
     WHERE i.indrelid = to_regclass({table}) AND NOT c.relispartition AND pg_get_indexdef(i.indexrelid) ~ {keys}
  LOOP
    EXECUTE format('DROP INDEX %s', each.index);
    IF each.name = ANY (ARRAY[{kept}]::text[]) THEN
      EXECUTE each.plain;
      EXECUTE format('COMMENT ON INDEX %s IS %L', each.index, each.said);
      IF each.identity THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', {table}, each.name);
      END IF;
      IF each.clustered THEN
        EXECUTE format('ALTER TABLE %s CLUSTER ON %I', {table}, each.name);
      END IF;
    END IF;
  END LOOP;
END
$patterns$"""


def given_up_checks(planned: TablePlan, table: Identifier) -> Iterator[Composable]:
    """CHECKs over texts that become an enum. Those that hold for its values too come back."""
    columns = [column.name for column in planned.columns if "enum_checks" in column.consent]
    if columns:
        listed = SQL(", ").join(map(Literal, columns))
        yield SQL(CHECKS).format(table=Literal(table.as_string(None)), columns=listed)


def given_up_keys(planned: TablePlan, table: Identifier) -> Iterator[Composable]:
    """Foreign keys that lead to what is unique no longer. Those that the live database has come back."""
    if planned.partition is not None and "foreign_keys" in planned.partition.consent:
        yield SQL(KEYS).format(table=Literal(table.as_string(None)))


def given_up_patterns(columns: Collection[str], table: Identifier, kept: Collection[str]) -> Iterator[Composable]:
    """Indexes for LIKE over columns whose type changes; those that are `kept` by name become plain ones."""
    if columns:
        yield SQL(PATTERNS).format(
            table=Literal(table.as_string(None)),
            keys=Literal(pattern_of_keys(columns)),
            kept=SQL(", ").join(map(Literal, sorted(kept))),
        )
