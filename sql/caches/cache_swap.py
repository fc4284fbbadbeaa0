"""The swap of a cache table: old and new contents are swapped in one transaction under one short lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Identifier

from replank.errors import TryAgain
from replank.values.cache_spec import CacheSpec
from replank.wording import counted
from sql.caches.cache_marks import apply_marks, count_marks, everything_marked
from sql.caches.mark_continuity import DefinitionChanged, MarkFacts, refuse_gaps
from sql.catalogue import fingerprints
from sql.catalogue.dependents import Dependents, read_dependents
from sql.catalogue.relation_oids import relation_oids
from sql.session.connection import Connection, run
from sql.session.one_snapshot import one_snapshot
from sql.session.statements import execute
from sql.session.table_names import next_table
from sql.swap.cutover import locked_tables
from sql.swap.event_triggers import refuse_added_by_cutover
from sql.swap.hold_clock import one_statement
from sql.swap.hold_forecast import statement_ms
from sql.swap.lock_attempt import Crossing
from sql.swap.lock_moment import Traffic
from sql.swap.swap_script import swap_script
from sql.swap.swap_under_lock import CutoverLimits, CutoverTimes, Prepared, cross
from sql.swap.views_beside import build_views_beside, drop_views_beside, lock_script, make_schemas, view_locks
from sql.swap.write_gate import Gate

PASSES = 4


def swap_cache(
    connection: Connection,
    spec: CacheSpec,
    foreign_keys: Sequence[Mapping[str, Any]],
    limits: CutoverLimits,
    *,
    autovacuum_before: Mapping[str, str | None],
    traffic: Traffic,
    mark_facts: MarkFacts,
    write_ledger: Callable[[], None],
) -> CutoverTimes:
    """Swap. `write_ledger` says so in the ledger, inside the same transaction.

    Raises TryAgain if a lock or a budget was missed (nothing changed), DefinitionChanged, and OutcomeUnknown
    if the connection was lost at COMMIT.
    """
    _refuse_changed(connection, spec)
    prepared = _prepare(connection, spec, foreign_keys, limits, autovacuum_before)

    def under_lock(crossing: Crossing) -> None:
        refuse_gaps(connection, spec, mark_facts)
        _apply_last(connection, spec, limits)
        _refuse_changed(connection, spec)
        crossing.check()
        run(connection, one_statement(prepared.swap))
        crossing.check()
        refuse_added_by_cutover(connection, [spec])
        write_ledger()

    return cross(
        connection,
        prepared,
        limits,
        traffic,
        shortly_before=lambda second: _keep_up(second, spec),
        drain=lambda second, most: _apply_once(second, spec, most),
        under_lock=under_lock,
    )


def _prepare(
    connection: Connection,
    spec: CacheSpec,
    foreign_keys: Sequence[Mapping[str, Any]],
    limits: CutoverLimits,
    autovacuum_before: Mapping[str, str | None],
) -> Prepared:
    dependents = read_dependents(connection, [spec])
    execute(connection, make_schemas(connection, dependents))
    _build_views(connection, spec, dependents)
    names = locked_tables([spec], foreign_keys)
    shared = _shared(spec, names)
    before = view_locks(dependents.views)
    if shared:
        # First: a session that waits for writers should not keep readers of the cache waiting meanwhile.
        sources = SQL(", ").join(Identifier(*name) for name in shared)
        before = [SQL("LOCK TABLE {} IN SHARE MODE").format(sources), *before]
    return Prepared(
        gate=Gate(before=before, tables=names),
        lock=lock_script(connection, dependents.views, names),
        swap=swap_script(connection, [spec], foreign_keys, autovacuum_before, dependents),
        each_ms=statement_ms(connection, [next_table(spec)], lock_timeout_ms=limits.lock_timeout_ms),
        oids=[*relation_oids(connection, [*names, *shared]).values(), *(view.oid for view in dependents.views)],
        functions=[],
    )


def _refuse_changed(connection: Connection, spec: CacheSpec) -> None:
    present = fingerprints.shape(connection, spec.oid)
    if present != spec.shape:
        raise DefinitionChanged(fingerprints.changed(spec.shape, present))


def _build_views(connection: Connection, spec: CacheSpec, dependents: Dependents) -> None:
    """Again at every attempt; rows of materialized views are those of the moment at which the marks were applied."""
    with connection.transaction():
        execute(connection, drop_views_beside(connection, dependents.relations))
    if dependents.views:
        with one_snapshot(connection):
            apply_marks(connection, spec)
            execute(connection, build_views_beside(connection, dependents))


def _keep_up(connection: Connection, spec: CacheSpec) -> None:
    """Leave next to nothing to do under the lock."""
    for _ in range(PASSES):
        if not _apply_once(connection, spec, None):
            return


def _apply_once(connection: Connection, spec: CacheSpec, most: int | None) -> int:
    """Returns how many marks were applied. Raises TryAgain where there are more than `most`: writers wait meanwhile."""
    if most is not None:
        _refuse_many(connection, spec, most)
    if not spec.sources:
        return 0
    with one_snapshot(connection):
        return apply_marks(connection, spec).marks


def _shared(spec: CacheSpec, names: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sources that may not be written while the last marks are applied; readers continue."""
    return sorted({(source.schema, source.name) for source in spec.sources} - set(names))


def _apply_last(connection: Connection, spec: CacheSpec, limits: CutoverLimits) -> None:
    _refuse_many(connection, spec, limits.max_log_rows)
    apply_marks(connection, spec)


def _refuse_many(connection: Connection, spec: CacheSpec, most: int) -> None:
    waiting = count_marks(connection, spec)
    if waiting > most or everything_marked(connection, spec):
        raise TryAgain(
            f"{counted(waiting, 'change')} of its sources arrived while the swap waited for the locks: apply them first"
        )
