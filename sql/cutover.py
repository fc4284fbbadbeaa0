"""Cutover: a whole conversion set changes places in one transaction under one short lock.

Everything that can be read or built before is: under the lock stand only the last drain, the check
that the live tables are still what they were, and one script of renames and foreign keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from replank.errors import NeedsPerson, OutcomeUnknown, TryAgain
from replank.table_spec import TableSpec
from sql.beside import build_beside, drop_beside, lock_script, make_schemas
from sql.change_log import log_table
from sql.connection import Connection, apply_settings, keep_plans, run, script, value
from sql.dependents import Dependents, read_dependents
from sql.draining import drain
from sql.enum_drift import refuse_renamed_values
from sql.inheritance import link_next
from sql.isolation import require_read_committed, say_read_committed
from sql.ledger import quarantines
from sql.lock_holders import blockers
from sql.named import query
from sql.one_snapshot import one_snapshot
from sql.reverse_capture import prepare_capture, switched_on
from sql.settling import settle
from sql.shapes import refuse_changed_shapes
from sql.swap_script import swap_script

PASSES = 4
SHORT_PASS_S = 0.015
"""The logs are drained until one pass over all of them is this short: then little can have come in."""

ForeignKeyDocument = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class CutoverLimits:
    """How long the cutover may wait for its locks and hold them, in milliseconds."""

    lock_timeout_ms: int
    lock_budget_ms: int
    hold_budget_ms: int
    max_log_rows: int


@dataclass(frozen=True, kw_only=True)
class CutoverTimes:
    """`wait_ms`: from asking for the locks until they were granted; `hold_ms`: until commit returned."""

    wait_ms: float
    hold_ms: float


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What was read and composed before the lock: `lock` and `swap` are scripts, `oids` those of all they touch."""

    lock: sql.Composable
    swap: sql.Composable
    oids: list[int]
    functions: list[int]


def locked_tables(specs: Sequence[TableSpec], foreign_keys: Sequence[ForeignKeyDocument]) -> list[tuple[str, str]]:
    """Every table the swap touches, in the one order in which all of them are locked."""
    names = {(relation.schema, relation.name) for spec in specs for relation in spec.relations}
    for key in foreign_keys:
        names.add((key["schema"], key["table_name"]))
        names.add((key["ref_schema"], key["ref_table"]))
    return sorted(names)


def cut_over(
    connection: Connection,
    specs: Sequence[TableSpec],
    foreign_keys: Sequence[ForeignKeyDocument],
    limits: CutoverLimits,
    *,
    autovacuum_before: Mapping[str, str | None],
    write_ledger: Callable[[int], None],
    reverse_capture: bool = False,
) -> CutoverTimes:
    """Swap the set. `write_ledger(rows)` says so in the ledger, inside the same transaction.

    With `reverse_capture`, what changes in the new tables is logged from the commit on. Raises TryAgain if a lock or
    a budget was missed (nothing changed), NeedsPerson if the live tables are not what they were, OutcomeUnknown if the
    connection was lost at COMMIT.
    """
    keep_plans(connection)
    prepared = _prepare(connection, specs, foreign_keys, limits, autovacuum_before, reverse_capture=reverse_capture)
    stamp = stamp_of(connection, prepared)
    refuse_changed_shapes(connection, specs)
    refuse_renamed_values(connection, specs)
    _drain_shortly_before(connection, specs)

    def under_lock() -> None:
        drained = _last_drain(connection, specs, limits)
        if stamp_of(connection, prepared) != stamp:
            # Something wrote the catalogue since we looked; only now is a full look worth its time.
            refuse_changed_shapes(connection, specs)
        script(connection, prepared.swap)
        write_ledger(drained)

    return change_places(connection, prepared, limits, under_lock)


def change_places(
    connection: Connection, prepared: Prepared, limits: CutoverLimits, under_lock: Callable[[], None]
) -> CutoverTimes:
    """Do `under_lock` in one transaction that holds every lock. Raises as `cut_over`."""
    reached_commit = False
    started = time.monotonic()
    locked = started
    try:
        with connection.transaction():
            say_read_committed(connection)
            _lock(connection, prepared, limits)
            locked = time.monotonic()
            require_read_committed(connection)
            under_lock()
            reached_commit = True
    except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected) as error:
        waited_s = None if locked > started else time.monotonic() - started
        raise TryAgain(_missed(connection, prepared.oids, waited_s, error)) from None
    except psycopg.OperationalError as error:
        # The server's farewell may be read before the connection is seen to be closed.
        cut_off = connection.closed or isinstance(error, errors.AdminShutdown | errors.CrashShutdown)
        if cut_off and reached_commit:
            raise OutcomeUnknown(f"the connection was lost at the cutover's COMMIT: {error}") from None
        raise
    ended = time.monotonic()
    return CutoverTimes(wait_ms=(locked - started) * 1000, hold_ms=(ended - locked) * 1000)


def _lock(connection: Connection, prepared: Prepared, limits: CutoverLimits) -> None:
    """All locks at once, in one order. lock_timeout counts for each lock anew, so the whole is bounded too."""
    waits = {"lock_timeout": f"{limits.lock_timeout_ms}ms", "statement_timeout": f"{limits.lock_budget_ms}ms"}
    apply_settings(connection, {**waits, "synchronous_commit": "on"}, local=True)
    run(connection, prepared.lock)
    apply_settings(connection, {"statement_timeout": f"{limits.hold_budget_ms}ms"}, local=True)


def _prepare(
    connection: Connection,
    specs: Sequence[TableSpec],
    foreign_keys: Sequence[ForeignKeyDocument],
    limits: CutoverLimits,
    autovacuum_before: Mapping[str, str | None],
    *,
    reverse_capture: bool = False,
) -> Prepared:
    captured = specs if reverse_capture else ()
    for spec in captured:
        prepare_capture(connection, spec, lock_timeout_ms=limits.lock_timeout_ms)
    link_next(connection, specs, lock_timeout_ms=limits.lock_timeout_ms)
    dependents = read_dependents(connection, specs)
    make_schemas(connection, dependents)
    _build_views(connection, specs, dependents, lock_timeout_ms=limits.lock_timeout_ms)
    names = locked_tables(specs, foreign_keys)
    swap = swap_script(connection, specs, foreign_keys, autovacuum_before, dependents)
    return Prepared(
        lock=lock_script(connection, dependents.views, names),
        swap=sql.SQL(";\n").join([swap, *(switched_on(connection, spec) for spec in captured)]),
        oids=[*table_oids(connection, names), *(view.oid for view in dependents.views)],
        functions=dependents.function_oids,
    )


def _build_views(
    connection: Connection, specs: Sequence[TableSpec], dependents: Dependents, *, lock_timeout_ms: int
) -> None:
    """Anew at every attempt. Rows of materialized views are those of one moment: all tables are drained at it."""
    with connection.transaction():
        drop_beside(connection, [relation for spec in specs for relation in spec.next_relations])
    if not dependents.views:
        return
    # Before a build that may take long, or fail for nothing but the change.
    refuse_changed_shapes(connection, specs)
    with one_snapshot(connection):
        quarantines.hold(connection, specs, patient=False)
        apply_settings(connection, {"lock_timeout": f"{lock_timeout_ms}ms"}, local=True)
        if any(view.materialized for view in dependents.views):
            for spec in specs:
                _drain_equal(connection, spec, specs)
        build_beside(connection, dependents)


def stamp_of(connection: Connection, prepared: Prepared) -> str:
    """Changes with every catalogue row that defines the tables; its plan is kept for the lock."""
    named = {"oids": prepared.oids, "functions": prepared.functions}
    found = run(connection, query("cutover.catalogue_rows"), named, prepare=True).fetchone()
    return "" if found is None else str(found[0])


def _drain_shortly_before(connection: Connection, specs: Sequence[TableSpec]) -> None:
    """Leave the last drain next to nothing to do, and its statements planned."""
    for _ in range(PASSES):
        started = time.monotonic()
        for spec in specs:
            with one_snapshot(connection):
                quarantines.hold(connection, [spec], patient=False)
                _drain_equal(connection, spec, specs)
        if time.monotonic() - started < SHORT_PASS_S:
            return


def _drain_equal(connection: Connection, spec: TableSpec, together: Sequence[TableSpec]) -> None:
    done = drain(connection, spec, compare=True, together=together if spec.settles else ())
    if done.mismatches:
        raise NeedsPerson(
            f"{spec.full_name}: {done.mismatches} rows differ after the last drain; nothing was swapped. "
            "Please report this with `replank status --json`."
        )


def _last_drain(connection: Connection, specs: Sequence[TableSpec], limits: CutoverLimits) -> int:
    """Drain what is still in the logs; every drained key is compared. Returns the number of log rows.

    Quarantine comes first, once: what it logs is drained with the rest.
    """
    settle(connection, specs, draining=None)
    counts = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}, count(*) FROM {}").format(spec.table_no, log_table(spec)) for spec in specs
    )
    counted = run(connection, counts, prepare=True).fetchall()
    waiting = {number: count for number, count in counted if count}
    if sum(waiting.values()) > limits.max_log_rows:
        raise TryAgain(f"{sum(waiting.values())} changes came in while waiting for the locks: drain first")
    for spec in specs:
        if spec.table_no in waiting:
            _drain_equal(connection, spec, ())
    return sum(waiting.values())


def _missed(connection: Connection, oids: Sequence[int], waited_s: float | None, error: psycopg.Error) -> str:
    """Why the attempt was given up. `waited_s` is None if the locks were granted."""
    if waited_s is None:
        return f"the work under the lock took too long ({error.diag.message_primary}); rolled back"
    who = blockers(connection, oids, waited_s=waited_s)
    return "the locks were not granted in time; they are held by: " + ("; ".join(who) or "(gone meanwhile)")


def table_oids(connection: Connection, names: Sequence[tuple[str, str]]) -> list[int]:
    """The oids of tables by name; those that are gone are left out."""
    found = [
        value(
            connection,
            sql.SQL("SELECT to_regclass(format('%I.%I', {}::text, {}::text))::oid::bigint").format(*name),
        )
        for name in names
    ]
    return [oid for oid in found if oid is not None]
