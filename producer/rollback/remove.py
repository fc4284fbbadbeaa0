"""What a rollback takes away: capture, logs and next tables of one table, contents built for one cache."""

from __future__ import annotations

from psycopg.sql import SQL

from producer.stages.backfill_stages import undo
from producer.waiting.lock_retries import LockRetries
from sql.caches.built_contents import remove_built
from sql.ledger.runs.runs import Run
from sql.ledger.tables import quarantines
from sql.ledger.tables.caches import Cache
from sql.ledger.tables.tables import RunTable
from sql.next_table.on_update_trigger import drop_on_update
from sql.quarantine.quarantined_rows import drop_quarantine
from sql.rows import capture
from sql.rows.reverse_capture import remove_capture
from sql.session.connection import Connection, apply_settings
from sql.session.statements import execute
from sql.session.table_names import next_table

COMMAND = "replank rollback"


def remove_table(connection: Connection, run: Run, table: RunTable, lock_retries: LockRetries) -> None:
    """Drop capture and next. Dropping a trigger locks the live table: short, retried, bounded."""
    limit = run.plan.options.lock_timeout_ms

    def remove() -> None:
        if table.spec.method == "backfill":
            undo(connection, table, lock_timeout_ms=limit)
            return
        with connection.transaction():
            apply_settings(connection, {"lock_timeout": f"{limit}ms"}, local=True)
            execute(connection, capture.remove(table.spec))
            execute(connection, remove_capture(table.spec))
            connection.execute(SQL("DROP TABLE IF EXISTS {}").format(next_table(table.spec)))
            execute(connection, drop_on_update(table.spec))
            drop_quarantine(connection, table.spec)
            quarantines.remove(connection, table.spec)

    left = "; its capture triggers are still there"
    lock_retries.until_granted(remove, what=table.spec.full_name, command=COMMAND, left=left)


def remove_cache(connection: Connection, run: Run, cache: Cache, lock_retries: LockRetries) -> None:
    """Drop next contents and marks. Dropping the triggers locks the sources: short, retried, bounded."""
    limit = run.plan.options.lock_timeout_ms
    lock_retries.until_granted(
        lambda: remove_built(connection, cache, lock_timeout_ms=limit),
        what=f"a source of cache {cache.name}",
        command=COMMAND,
        left="; its triggers are still there",
    )
