"""Cutover: a whole conversion set is swapped in one transaction under one short lock.

Everything that can be read or built before is: under the lock stand only the last drain, the check
that the live tables are still what they were, and one script of renames and foreign keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Identifier

from replank.errors import NeedsOperator, TryAgain
from replank.values.table_spec import TableSpec
from replank.wording import counted
from sql.catalogue.dependents import Dependents, read_dependents
from sql.catalogue.inheritance import analyze_families, link_next, parents_first
from sql.catalogue.relation_oids import relation_oids
from sql.catalogue.shapes import refuse_changed_shapes
from sql.drain.drain import drain
from sql.ledger.tables import quarantines
from sql.quarantine.resolve import resolve_quarantine
from sql.rows.change_log import log_table
from sql.rows.reverse_capture import enable_prepared_capture, prepare_capture
from sql.session.connection import Connection, apply_settings, keep_plans, run
from sql.session.named_queries import query
from sql.session.one_snapshot import one_snapshot
from sql.session.statements import execute
from sql.session.table_names import next_table
from sql.swap.event_triggers import refuse_added_by_cutover
from sql.swap.hold_clock import one_statement
from sql.swap.hold_forecast import statement_ms
from sql.swap.lock_attempt import Crossing
from sql.swap.lock_moment import Traffic
from sql.swap.swap_script import swap_script
from sql.swap.swap_under_lock import CutoverLimits, CutoverTimes, Prepared, cross, drain_until_short
from sql.swap.views_beside import build_views_beside, drop_views_beside, lock_script, make_schemas, view_locks
from sql.swap.write_gate import Gate
from sql.values.enum_drift import refuse_renamed_values

ForeignKeyDocument = Mapping[str, Any]


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
    still_proved: Callable[[], None],
    write_ledger: Callable[[int], None],
    traffic: Traffic,
    reverse_capture: bool = False,
) -> CutoverTimes:
    """Swap the set. `write_ledger(rows)` says so in the ledger, inside the same transaction.

    `traffic` is what earlier attempts have seen of the transactions that are in the way. `still_proved` raises
    NotProved where both sides may differ in what no log names: it is asked before anything is drained, which could
    collide with such rows, and once more under the lock. With `reverse_capture`, what changes in the new tables is
    logged from the commit on. Raises TryAgain if a lock or a budget was missed (nothing changed), NeedsOperator if the
    live tables are not what they were, OutcomeUnknown if the connection was lost at COMMIT.
    """
    keep_plans(connection)
    still_proved()
    prepared = _prepare(connection, specs, foreign_keys, limits, autovacuum_before, reverse_capture=reverse_capture)
    stamp = stamp_of(connection, prepared)
    refuse_changed_shapes(connection, specs)
    refuse_renamed_values(connection, specs)

    def under_lock(crossing: Crossing) -> None:
        still_proved()
        drained = _last_drain(connection, specs, limits, crossing)
        if stamp_of(connection, prepared) != stamp:
            # Something wrote the catalogue since it was read; only now is a full comparison worth its time.
            refuse_changed_shapes(connection, specs)
        crossing.check()
        run(connection, one_statement(prepared.swap))
        crossing.check()
        refuse_added_by_cutover(connection, specs)
        write_ledger(drained + crossing.drained)

    def take(second: Connection, most: int | None) -> int:
        return _drain_all(second, specs, most)

    return cross(
        connection,
        prepared,
        limits,
        traffic,
        shortly_before=lambda second: drain_until_short(lambda: take(second, None)),
        drain=take,
        under_lock=under_lock,
    )


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
        with connection.transaction():
            apply_settings(connection, {"lock_timeout": f"{limits.lock_timeout_ms}ms"}, local=True)
            execute(connection, prepare_capture(connection, spec))
    _link_families(connection, specs, lock_timeout_ms=limits.lock_timeout_ms)
    dependents = read_dependents(connection, specs)
    execute(connection, make_schemas(connection, dependents))
    _build_views(connection, specs, dependents, lock_timeout_ms=limits.lock_timeout_ms)
    names = locked_tables(specs, foreign_keys)
    swap = swap_script(connection, specs, foreign_keys, autovacuum_before, dependents)
    built = [next_table(heap) for spec in specs for heap in spec.next_heaps]
    return Prepared(
        gate=Gate(before=view_locks(dependents.views), tables=parents_first(connection, names)),
        lock=lock_script(connection, dependents.views, names),
        swap=SQL(";\n").join([swap, *(enable_prepared_capture(spec) for spec in captured)]),
        each_ms=statement_ms(connection, built, lock_timeout_ms=limits.lock_timeout_ms),
        oids=[*relation_oids(connection, names).values(), *(view.oid for view in dependents.views)],
        functions=dependents.function_oids,
    )


def _link_families(connection: Connection, specs: Sequence[TableSpec], *, lock_timeout_ms: int) -> None:
    with connection.transaction():
        apply_settings(connection, {"lock_timeout": f"{lock_timeout_ms}ms"}, local=True)
        made = link_next(connection, specs)
        execute(connection, made)
    if made:
        execute(connection, analyze_families(connection, specs))


def _build_views(
    connection: Connection, specs: Sequence[TableSpec], dependents: Dependents, *, lock_timeout_ms: int
) -> None:
    """Again at every attempt. Rows of materialized views are those of one moment: all tables are drained at it."""
    with connection.transaction():
        execute(connection, drop_views_beside(connection, [each for spec in specs for each in spec.next_relations]))
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
        execute(connection, build_views_beside(connection, dependents))


def stamp_of(connection: Connection, prepared: Prepared) -> str:
    """Changes with every catalogue row that defines the tables; its plan is kept for the lock."""
    named = {"oids": prepared.oids, "functions": prepared.functions}
    found = run(connection, query("cutover.catalogue_rows"), named, prepare=True).fetchone()
    return "" if found is None else str(found[0])


def _drain_all(connection: Connection, specs: Sequence[TableSpec], most: int | None) -> int:
    """One pass over all logs, each in a transaction of its own. Returns the number of log rows.

    Raises TryAgain where there are more than `most`: writers wait meanwhile. Whatever needs the operator is
    reported of all tables.
    """
    if most is not None:
        refuse_long_logs(_logged(connection, specs), most)
    drained, problems = 0, []
    for spec in specs:
        try:
            with one_snapshot(connection):
                quarantines.hold(connection, [spec], patient=False)
                drained += _drain_equal(connection, spec, specs)
        except NeedsOperator as error:
            if most is not None:
                raise
            problems.append(str(error))
    if problems:
        raise NeedsOperator(" ".join(problems))
    return drained


def _drain_equal(connection: Connection, spec: TableSpec, together: Sequence[TableSpec]) -> int:
    done = drain(connection, spec, compare=True, together=together if spec.settles else ())
    if done.mismatches:
        raise NeedsOperator(
            f"{spec.full_name}: {counted(done.mismatches, 'row', 'differs')} after the last drain; nothing was "
            "swapped. Please report this with `replank status --json`."
        )
    return done.keys


def _last_drain(connection: Connection, specs: Sequence[TableSpec], limits: CutoverLimits, crossing: Crossing) -> int:
    """Drain what is still in the logs: next to never anything. Every drained key is compared. Returns the log rows.

    Quarantine comes first, once: what it logs is drained with the rest.
    """
    resolve_quarantine(connection, specs, draining=None)
    waiting = _logged(connection, specs)
    refuse_long_logs(waiting, limits.max_log_rows)
    for spec in specs:
        if spec.table_no in waiting:
            crossing.check()
            _drain_equal(connection, spec, ())
    return sum(waiting.values())


def _logged(connection: Connection, specs: Sequence[TableSpec]) -> dict[int, int]:
    return rows_logged(connection, {spec.table_no: log_table(spec) for spec in specs})


def rows_logged(connection: Connection, logs: Mapping[int, Identifier]) -> dict[int, int]:
    """Rows in the logs of tables, by number; those that are empty are left out."""
    counts = SQL(" UNION ALL ").join(
        SQL("SELECT {}, count(*) FROM {}").format(number, log) for number, log in logs.items()
    )
    return {number: count for number, count in run(connection, counts, prepare=True).fetchall() if count}


def refuse_long_logs(waiting: Mapping[int, int], most: int) -> None:
    """Raises TryAgain where more came in than may be drained while others wait."""
    if sum(waiting.values()) > most:
        raise TryAgain(
            f"{counted(sum(waiting.values()), 'change')} arrived while the cutover waited for the locks: drain first"
        )
