"""Tables in other schemas than Prisma's, in the migration script: a database made of its migrations may lack them."""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Literal

from producer.history.changes.changes import Table
from producer.history.migration.partitioning import Named

IF_THERE = """\
DO $there$
BEGIN
  IF to_regclass({}) IS NOT NULL THEN
    EXECUTE {};
  END IF;
END
$there$"""


def alter_table(table: Table, named: Named) -> Composable:
    """The beginning of a statement; of a table elsewhere only where it is there."""
    there = SQL("" if table[0] == named.default_schema else "IF EXISTS ")
    return SQL("ALTER TABLE {}{}").format(there, named(*table))


def where_it_is(table: Table, statement: Composable, named: Named) -> Composable:
    """Any statement about a table; about one elsewhere only where it is there."""
    if table[0] == named.default_schema:
        return statement
    texts = (named(*table).as_string(None), statement.as_string(None))
    return SQL(IF_THERE).format(*map(Literal, texts))
