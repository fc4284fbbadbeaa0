"""Beginning a run: the plan goes into the ledger, nothing else changes yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from producer.cache_correction import correct_caches, differs_in_caches
from producer.cache_resolution import plan_caches, refuse_unknown
from producer.preflight import refuse_blockers
from producer.quarantining import with_quarantine
from producer.repartition import lost_keys
from producer.resolution import PlanFile, Resolved, choose_axis, resolve, table_spec
from producer.sets import conversion_sets, joined_tables, key_documents
from producer.steps.compiling import CompiledStep, compile_steps, refuse_other_scripts
from producer.steps.pending_names import named_now
from replank.errors import WrongUse
from replank.states import RunState
from replank.steps import PHASES
from replank.table_spec import TableSpec
from sql.connection import Connection
from sql.ledger import quarantines, runs, scripts, tables
from sql.ledger.runs import Run
from sql.quarantine import create_quarantine
from sql.snapshot import keep_objects

STEP = "08-migrate-uuid-types"
PHASE = 3
FILLED_IN_PLACE = 0
"""The set of tables that do not cut over."""


def begin_or_resume(
    connection: Connection,
    file: PlanFile,
    *,
    hold_cutover: bool,
    before_first_write: Callable[[], None] = lambda: None,
    scripts_in: Path | None = None,
) -> Run:
    """The open run of this plan, the finished one, or a new one; a new one asks `before_first_write`.

    `scripts_in` is a folder of scripts that a new run must be equal to. Raises WrongUse if a run of another plan
    is open, or if the scripts are others.
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
    return _begin(
        connection, file, hold_cutover=hold_cutover, before_first_write=before_first_write, scripts_in=scripts_in
    )


def _begin(
    connection: Connection,
    file: PlanFile,
    *,
    hold_cutover: bool,
    before_first_write: Callable[[], None],
    scripts_in: Path | None,
) -> Run:
    """Scripts of earlier phases change the catalogue, so tables are planned when these have run.

    The first look is at the names of now, which step 07 may change.
    """
    now = named_now(connection, file).file
    resolved, specs = _look(connection, now)
    refuse_unknown(connection, now)
    compiled = compile_steps(connection, file.plan, Path(file.source).parent)
    if scripts_in is not None:
        refuse_other_scripts(compiled, scripts_in)
    before_first_write()
    runs.ensure_ledger(connection)
    with connection.transaction():
        run_id = runs.create_run(connection, file.plan, hold_cutover=hold_cutover)
        runs.add_event(connection, run_id, actor="operator", kind="run", message="the run began")
        _keep_scripts(connection, run_id, compiled)
        if not any(each.asked and each.step.phase < PHASE for each in compiled):
            _write_tables(connection, run_id, resolved, specs)
        plan_caches(connection, run_id, file.plan, named_now=now.plan)
    return runs.read_run(connection, run_id)


def plan_tables(connection: Connection, run: Run) -> bool:
    """Plan the tables of a run whose scripts have run; False where they are planned already.

    Raises NeedsPerson or WrongUse where the plan does not fit the database as it is now.
    """
    if not run.plan.tables or scripts.has_step(connection, run.run_id, STEP):
        return False
    resolved, specs = _look(connection, PlanFile(plan=run.plan, source="the run's plan", text=""))
    with connection.transaction():
        _write_tables(connection, run.run_id, resolved, specs)
    return True


def _look(connection: Connection, file: PlanFile) -> tuple[Resolved, list[TableSpec]]:
    """The plan's tables in the database. Raises where there is something in the way; nothing is written."""
    resolved = resolve(connection, file)
    refuse_blockers(connection, file, resolved)
    plain = [
        table_spec(connection, planned, live, run_id=0, table_no=number, enums=resolved.enums)
        for number, (planned, live) in enumerate(resolved.tables, start=1)
    ]
    return resolved, with_quarantine(plain, resolved.tables, resolved.foreign_keys)


def _keep_scripts(connection: Connection, run_id: int, compiled: Sequence[CompiledStep]) -> None:
    for each in compiled:
        if each.asked:
            scripts.add_script(connection, run_id, each.step, "forward", each.forward)
            scripts.add_script(connection, run_id, each.step, "back", each.back)


def _write_tables(connection: Connection, run_id: int, resolved: Resolved, specs: Sequence[TableSpec]) -> None:
    """Tables, sets and what is given up, in the caller's transaction."""
    rebuilt = [spec for spec in specs if spec.method == "rebuild"]
    runs.add_step(connection, run_id, phase=PHASE, phase_name=PHASES[PHASE], step=STEP)
    numbers = conversion_sets([spec.oid for spec in rebuilt], resolved.foreign_keys, joined_tables(connection, rebuilt))
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
        if any(column.on_invalid not in ("fail", "quarantine") for column in spec.columns):
            # Their texts are no spellings of their uuids.
            tables.compare_values(connection, replace(spec, run_id=run_id))
        if spec.settles:
            create_quarantine(connection, replace(spec, run_id=run_id))
            quarantines.add(connection, replace(spec, run_id=run_id))
    keep_objects(connection, run_id, specs)
    for each in lost:
        words = f"foreign key {each.key.name} of {each.key.schema}.{each.key.table_name} goes with the swap"
        runs.add_event(connection, run_id, actor="operator", kind="consent", subject=each.spec.full_name, message=words)


def is_finished(run: Run) -> bool:
    return run.state in (RunState.DONE, RunState.FINISHED)
