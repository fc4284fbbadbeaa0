"""The swap of a cache table: old and new contents change places in one transaction under one short lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors, sql

from replank.cache_spec import CacheSpec
from replank.errors import OutcomeUnknown, TryAgain
from sql import catalogue
from sql.beside import build_beside, drop_beside, lock_script, make_schemas
from sql.cache_marks import apply_marks, count_marks, everything_marked
from sql.connection import Connection, apply_settings, run, script
from sql.cutover import CutoverLimits, CutoverTimes, locked_tables, table_oids
from sql.dependents import Dependents, read_dependents
from sql.isolation import require_read_committed, say_read_committed
from sql.lock_holders import blockers
from sql.one_snapshot import one_snapshot
from sql.swap_script import swap_script

PASSES = 4


class DefinitionChanged(Exception):
    """The table's definition is not the one that its next contents were built for: they are built anew."""


def swap_cache(
    connection: Connection,
    spec: CacheSpec,
    foreign_keys: Sequence[Mapping[str, Any]],
    limits: CutoverLimits,
    *,
    autovacuum_before: Mapping[str, str | None],
    write_ledger: Callable[[], None],
) -> CutoverTimes:
    """Swap. `write_ledger` says so in the ledger, inside the same transaction.

    Raises TryAgain if a lock or a budget was missed (nothing changed), DefinitionChanged, and OutcomeUnknown
    if the connection was lost at COMMIT.
    """
    _refuse_changed(connection, spec)
    dependents = read_dependents(connection, [spec])
    make_schemas(connection, dependents)
    _build_views(connection, spec, dependents)
    names = locked_tables([spec], foreign_keys)
    lock = lock_script(connection, dependents.views, names)
    swap = swap_script(connection, [spec], foreign_keys, autovacuum_before, dependents)
    oids = [*table_oids(connection, [*names, *_shared(spec, names)]), *(view.oid for view in dependents.views)]
    _keep_up(connection, spec)
    reached_commit = False
    started = time.monotonic()
    locked = started
    try:
        with connection.transaction():
            say_read_committed(connection)
            _lock(connection, lock, _shared(spec, names), limits)
            locked = time.monotonic()
            require_read_committed(connection)
            _apply_last(connection, spec, limits)
            _refuse_changed(connection, spec)
            script(connection, swap)
            write_ledger()
            reached_commit = True
    except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected) as error:
        waited_s = None if locked > started else time.monotonic() - started
        raise TryAgain(_missed(connection, oids, waited_s, error)) from None
    except psycopg.OperationalError as error:
        cut_off = connection.closed or isinstance(error, errors.AdminShutdown | errors.CrashShutdown)
        if cut_off and reached_commit:
            raise OutcomeUnknown(f"the connection was lost at the COMMIT of a cache's swap: {error}") from None
        raise
    return CutoverTimes(wait_ms=(locked - started) * 1000, hold_ms=(time.monotonic() - locked) * 1000)


def _refuse_changed(connection: Connection, spec: CacheSpec) -> None:
    present = catalogue.shape(connection, spec.oid)
    if present != spec.shape:
        raise DefinitionChanged(catalogue.changed(spec.shape, present))


def _build_views(connection: Connection, spec: CacheSpec, dependents: Dependents) -> None:
    """Anew at every attempt; rows of materialized views are those of the moment at which the marks were applied."""
    with connection.transaction():
        drop_beside(connection, dependents.relations)
    if dependents.views:
        with one_snapshot(connection):
            apply_marks(connection, spec)
            build_beside(connection, dependents)


def _keep_up(connection: Connection, spec: CacheSpec) -> None:
    """Leave next to nothing to do under the lock."""
    for _ in range(PASSES if spec.sources else 0):
        with one_snapshot(connection):
            if not apply_marks(connection, spec).marks:
                return


def _shared(spec: CacheSpec, names: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sources that nobody may write while the last marks are applied; reading them goes on."""
    return sorted({(source.schema, source.name) for source in spec.sources} - set(names))


def _lock(
    connection: Connection, lock: sql.Composable, shared: Sequence[tuple[str, str]], limits: CutoverLimits
) -> None:
    """lock_timeout counts for each lock anew, so the whole is bounded too."""
    apply_settings(
        connection,
        {
            "lock_timeout": f"{limits.lock_timeout_ms}ms",
            "statement_timeout": f"{limits.lock_budget_ms}ms",
            "synchronous_commit": "on",
        },
        local=True,
    )
    if shared:
        # First: who waits for writers should not keep readers of the cache waiting meanwhile.
        sources = sql.SQL(", ").join(sql.Identifier(*name) for name in shared)
        connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sources))
    run(connection, lock)
    apply_settings(connection, {"statement_timeout": f"{limits.hold_budget_ms}ms"}, local=True)


def _apply_last(connection: Connection, spec: CacheSpec, limits: CutoverLimits) -> None:
    waiting = count_marks(connection, spec)
    if waiting > limits.max_log_rows or everything_marked(connection, spec):
        raise TryAgain(f"{waiting} changes of its sources came in while waiting for the locks: apply them first")
    apply_marks(connection, spec)


def _missed(connection: Connection, oids: Sequence[int], waited_s: float | None, error: psycopg.Error) -> str:
    """Why the attempt was given up. `waited_s` is None if the locks were granted."""
    if waited_s is None:
        return f"the work under the lock took too long ({error.diag.message_primary}); rolled back"
    who = blockers(connection, oids, waited_s=waited_s)
    return "the locks were not granted in time; they are held by: " + ("; ".join(who) or "(gone meanwhile)")
