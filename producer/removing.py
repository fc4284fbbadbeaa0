"""What a rollback takes away: capture, logs and next tables of one table, contents built for one cache."""

from __future__ import annotations

import random
from collections.abc import Callable

from psycopg import errors, sql

from producer.backfilling import undo
from producer.caching import remove_built
from replank.errors import NeedsPerson
from sql import capture
from sql.connection import Connection, apply_settings
from sql.ledger import quarantines
from sql.ledger.caches import Cache
from sql.ledger.runs import Run
from sql.ledger.tables import RunTable
from sql.next_table import next_table
from sql.on_update import drop_on_update
from sql.quarantine import drop_quarantine
from sql.reverse_capture import remove_capture


def remove_table(
    connection: Connection,
    run: Run,
    table: RunTable,
    sleep: Callable[[float], None],
    random_source: random.Random,
) -> None:
    """Drop capture and next. Dropping a trigger locks the live table: short, retried, bounded."""
    options = run.plan.options
    for attempt in range(options.capture_attempts):
        try:
            if table.spec.method == "backfill":
                undo(connection, table, lock_timeout_ms=options.lock_timeout_ms)
                return
            with connection.transaction():
                apply_settings(connection, {"lock_timeout": f"{options.lock_timeout_ms}ms"}, local=True)
                capture.remove(connection, table.spec)
                remove_capture(connection, table.spec)
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(next_table(table.spec)))
                drop_on_update(connection, table.spec)
                drop_quarantine(connection, table.spec)
                quarantines.remove(connection, table.spec)
            return
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            sleep(0.1 + random_source.random() * min(0.1 * (attempt + 1), 2.0))
    raise NeedsPerson(
        f"{table.spec.full_name} is locked by others; its capture triggers are still there. End the transactions "
        "that hold it, then `replank rollback` again: it goes on."
    )


def remove_cache(
    connection: Connection,
    run: Run,
    cache: Cache,
    sleep: Callable[[float], None],
    random_source: random.Random,
) -> None:
    """Drop next contents and marks. Dropping the triggers locks the sources: short, retried, bounded."""
    options = run.plan.options
    for attempt in range(options.capture_attempts):
        try:
            remove_built(connection, cache, lock_timeout_ms=options.lock_timeout_ms, anew=False)
            return
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            sleep(0.1 + random_source.random() * min(0.1 * (attempt + 1), 2.0))
    raise NeedsPerson(
        f"a source of cache {cache.name} is locked by others; its triggers are still there. End the transactions that "
        "hold it, then `replank rollback` again: it goes on."
    )
