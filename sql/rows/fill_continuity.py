"""Whether what fills new rows of a live table had no gap since it was made.

Function and triggers are made in one transaction, so their catalogue rows have one `xmin`. Whatever switches, drops or
replaces any of them writes its row again, also where all is as it was afterwards; a partition that was attached since
has a trigger of a later transaction. Rows that were written in such a gap may be empty.
"""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Composable

from replank.values.table_spec import TableSpec
from sql.rows.backfill import create_trigger, drop_trigger, filled_columns
from sql.session.connection import Connection, rows, run
from sql.session.named_queries import query
from sql.session.statements import execute
from sql.session.table_names import live_table

WORDS = "the trigger that fills new rows was disabled, dropped or replaced, or a partition was attached"


def why_fill_broke(connection: Connection, spec: TableSpec) -> str:
    """What happened and to which relations, in words; empty where it had no gap, or fills nothing."""
    if not filled_columns(spec):
        return ""
    found = rows(connection, query("backfilling.broken_fill_relations"), _named(spec))
    return f"{WORDS}: {', '.join(r['relation'] for r in found)}" if found else ""


def lock_out_writers(connection: Connection, spec: TableSpec) -> None:
    """In the caller's transaction with a lock_timeout: what is seen of the triggers afterwards holds until its end."""
    run(connection, SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(live_table(spec)))


def recreate_fill_triggers(connection: Connection, spec: TableSpec) -> None:
    """Function and triggers again, in the caller's transaction."""
    execute(connection, [drop_trigger(spec), *create_trigger(spec)])


def broken_fill_relations(connection: Connection, spec: TableSpec) -> Composable:
    """For a script: the query for the relations on which it had a gap."""
    # Composed by the driver from our own query.
    return SQL(psycopg.ClientCursor(connection).mogrify(query("backfilling.broken_fill_relations"), _named(spec)))


def _named(spec: TableSpec) -> dict[str, str]:
    return {"schema": spec.schema, "name": spec.name, "function": spec.fill_name}
