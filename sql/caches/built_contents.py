"""What has been built for a cache that has not been swapped, and its autovacuum: taken away and given back."""

from __future__ import annotations

from functools import partial

from psycopg.sql import SQL

from replank.values.cache_spec import CacheSpec
from sql.caches.cache_marks import remove_marks
from sql.ledger.tables import caches
from sql.ledger.tables.caches import Cache
from sql.session.connection import Connection, apply_settings
from sql.session.statements import execute
from sql.session.table_names import next_table
from sql.swap.autovacuum import LiveAutovacuum
from sql.swap.views_beside import drop_views_beside


def autovacuum_of(connection: Connection, cache: Cache, spec: CacheSpec) -> LiveAutovacuum:
    """Of the table whose contents are swapped; the ledger remembers it with the cache."""
    return LiveAutovacuum(
        connection=connection,
        specs=[spec],
        remembered=cache.autovacuum_before,
        remember=partial(caches.set_autovacuum_before, connection, cache),
    )


def remove_built(connection: Connection, cache: Cache, *, lock_timeout_ms: int) -> None:
    """Next contents, marks, and what was switched off meanwhile. Its state in the ledger stays as it is.

    Raises errors.LockNotAvailable while another session holds one of its sources.
    """
    spec = cache.built
    with connection.transaction():
        apply_settings(connection, {"lock_timeout": f"{lock_timeout_ms}ms"}, local=True)
        if spec is not None:
            execute(connection, drop_views_beside(connection, spec.relations))
            connection.execute(SQL("DROP TABLE IF EXISTS {}").format(next_table(spec)))
            remove_marks(connection, spec)
            autovacuum_of(connection, cache, spec).give_back()
