"""Beginning a run: the plan goes into the ledger, nothing else changes yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from producer.cache_correction import correct_caches, differs_in_caches
from producer.cache_resolution import plan_caches, refuse_unknown
from producer.preflight import refuse_blockers
from producer.repartition import lost_keys
from producer.resolution import PlanFile, choose_axis, resolve, table_spec
from producer.sets import conversion_sets, joined_tables, key_documents
from replank.errors import WrongUse
from replank.states import RunState
from sql.connection import Connection
from sql.ledger import runs, tables
from sql.ledger.runs import Run
from sql.snapshot import keep_objects

STEP = "08-migrate-uuid-types"
PHASE = 3
FILLED_IN_PLACE = 0
"""The set of tables that do not cut over."""

PHASE_NAME = "data migration"


def begin_or_resume(
    connection: Connection,
    file: PlanFile,
    *,
    hold_cutover: bool,
    before_first_write: Callable[[], None] = lambda: None,
) -> Run:
    """The open run of this plan, the finished one, or a new one; a new one asks `before_first_write`.

    Raises WrongUse if a run of another plan is open.
    """
    if runs.ledger_exists(connection):
        runs.ensure_ledger(connection)
        present = runs.open_run(connection)
        if present is not None:
            if present.plan_digest != file.plan.digest() and differs_in_caches(present, file.plan):
                return correct_caches(connection, present, file)
            if present.plan_digest != file.plan.digest():
                raise WrongUse(
                    f"Run {present.run_id} of plan {present.plan_name} is open on this database and its plan says "
                    "something else. Go on with that plan, or `replank rollback` first."
                )
            if hold_cutover and not present.hold_cutover:
                runs.set_flags(connection, present.run_id, hold_cutover=True)
            return present
        done = runs.finished_run_of(connection, file.plan)
        if done is not None:
            return done
    return _begin(connection, file, hold_cutover=hold_cutover, before_first_write=before_first_write)


def _begin(
    connection: Connection, file: PlanFile, *, hold_cutover: bool, before_first_write: Callable[[], None]
) -> Run:
    resolved = resolve(connection, file)
    refuse_unknown(connection, file)
    refuse_blockers(connection, file, resolved)
    specs = [
        table_spec(connection, planned, live, run_id=0, table_no=number)
        for number, (planned, live) in enumerate(resolved.tables, start=1)
    ]
    rebuilt = [spec for spec in specs if spec.method == "rebuild"]
    before_first_write()
    runs.ensure_ledger(connection)
    with connection.transaction():
        run_id = runs.create_run(connection, file.plan, hold_cutover=hold_cutover)
        runs.add_step(connection, run_id, phase=PHASE, phase_name=PHASE_NAME, step=STEP)
        numbers = conversion_sets(
            [spec.oid for spec in rebuilt], resolved.foreign_keys, joined_tables(connection, rebuilt)
        )
        members: dict[int, set[int]] = defaultdict(set)
        for oid, set_no in numbers.items():
            members[set_no].add(oid)
        lost = lost_keys(specs, resolved.foreign_keys)
        for set_no, oids in sorted(members.items()):
            documents = key_documents(oids, resolved.foreign_keys, {each.key.oid for each in lost})
            tables.add_set(connection, run_id, set_no, documents)
        for spec, (planned, live) in zip(specs, resolved.tables, strict=True):
            axis, reason = choose_axis(connection, planned, live)
            tables.add_table(
                connection,
                replace(spec, run_id=run_id),
                set_no=numbers.get(live.oid, FILLED_IN_PLACE),
                axis=axis,
                axis_reason=reason,
                rows_estimate=max(live.rows_estimate, 0),
            )
            if any(column.on_invalid != "fail" for column in spec.columns):
                # Their texts are no spellings of their uuids.
                tables.compare_values(connection, replace(spec, run_id=run_id))
        keep_objects(connection, run_id, specs)
        plan_caches(connection, run_id, file.plan)
        runs.add_event(connection, run_id, actor="operator", kind="run", message="the run began")
        for each in lost:
            words = f"foreign key {each.key.name} of {each.key.schema}.{each.key.table_name} goes with the swap"
            runs.add_event(
                connection, run_id, actor="operator", kind="consent", subject=each.spec.full_name, message=words
            )
    return runs.read_run(connection, run_id)


def is_finished(run: Run) -> bool:
    return run.state in (RunState.DONE, RunState.FINISHED)
