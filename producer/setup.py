"""Beginning a run: the plan goes into the ledger, nothing else changes yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from producer.preflight import refuse_blockers
from producer.resolution import PlanFile, choose_axis, resolve, table_spec
from producer.sets import conversion_sets, key_documents
from replank.errors import WrongUse
from replank.states import RunState
from sql.connection import Connection
from sql.ledger import runs, tables
from sql.ledger.runs import Run

STEP = "08-migrate-uuid-types"
PHASE = 3
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
    refuse_blockers(connection, file, resolved)
    specs = [
        table_spec(connection, planned, live, run_id=0, table_no=number)
        for number, (planned, live) in enumerate(resolved.tables, start=1)
    ]
    before_first_write()
    runs.ensure_ledger(connection)
    with connection.transaction():
        run_id = runs.create_run(connection, file.plan, hold_cutover=hold_cutover)
        runs.add_step(connection, run_id, phase=PHASE, phase_name=PHASE_NAME, step=STEP)
        numbers = conversion_sets([live.oid for _, live in resolved.tables], resolved.foreign_keys)
        members: dict[int, set[int]] = defaultdict(set)
        for oid, set_no in numbers.items():
            members[set_no].add(oid)
        for set_no, oids in sorted(members.items()):
            tables.add_set(connection, run_id, set_no, key_documents(oids, resolved.foreign_keys))
        for spec, (planned, live) in zip(specs, resolved.tables, strict=True):
            axis, reason = choose_axis(connection, planned, live)
            tables.add_table(
                connection,
                replace(spec, run_id=run_id),
                set_no=numbers[live.oid],
                axis=axis,
                axis_reason=reason,
                rows_estimate=max(live.rows_estimate, 0),
            )
            if any(column.on_invalid != "fail" for column in spec.columns):
                # Their texts are no spellings of their uuids.
                tables.compare_values(connection, replace(spec, run_id=run_id))
        runs.add_event(connection, run_id, actor="operator", kind="run", message="the run began")
    return runs.read_run(connection, run_id)


def is_finished(run: Run) -> bool:
    return run.state is RunState.DONE
