"""Beginning a run: the plan goes into the ledger, nothing else changes yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from producer.compiling.compile_steps import as_stored, compile_steps, stored_step
from producer.compiling.done_by_hand import done_by_hand
from producer.compiling.drop_deprecated import STEP as DROP_DEPRECATED
from producer.compiling.drop_deprecated import compile_deprecated
from producer.compiling.review import keep_pass, refuse_other_scripts, refuse_unread, stored
from producer.gates.barrier import go_on_at_barrier
from producer.measurement.measure import measure_before
from producer.planning.cache_resolution import plan_caches, refuse_unknown
from producer.planning.conversion_sets import planned_sets
from producer.planning.pending_names import named_now
from producer.planning.quarantine_scope import with_quarantine
from producer.planning.repartition import lost_keys
from producer.planning.resolution import PlanFile, Resolved, choose_axis, resolve, table_spec
from producer.psql_scripts.compiling import as_kept, compile_pass
from producer.psql_scripts.work import work_of
from producer.starting.correct_caches import correct_caches, differs_in_caches
from producer.starting.preflight import refuse_blockers, refuse_dangling, refuse_orphans
from producer.steps.compiled import CompiledStep
from producer.steps.readers import let_read_steps
from replank.activity import doing
from replank.errors import WrongUse
from replank.plan.plan import Plan
from replank.values.states import RunState
from replank.values.steps import PHASES
from replank.values.table_spec import TableSpec
from replank.wording import counted
from sql.access.readers import let_read
from sql.catalogue.catalogue_snapshot import keep_objects
from sql.ledger.runs import measurements, runs, scripts
from sql.ledger.runs.runs import Run
from sql.ledger.tables import quarantines, tables
from sql.next_table.pattern_indexes import read_pattern_indexes
from sql.quarantine.quarantined_rows import create_quarantine
from sql.scripts.script_templates import Script
from sql.session.connection import Connection

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
    with_pass_scripts: bool = True,
) -> Run:
    """The open run of this plan, the finished one, or a new one; a new one asks `before_first_write`.

    `scripts_in` is a folder of scripts that a new run must be equal to; without `with_pass_scripts` nobody will read
    those of the pass, and they are not composed. Raises WrongUse if a run of another plan
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
            if scripts_in is not None:
                _review(connection, present, file, scripts_in)
            if hold_cutover and not present.hold_cutover:
                runs.set_hold(connection, present.run_id, hold_cutover=True)
            return go_on_at_barrier(connection, _with_limits(connection, present, file.plan), file.plan)
        done = runs.finished_run_of(connection, file.plan)
        if done is not None:
            return _with_readers(connection, done, file.plan)
    return _begin(
        connection,
        file,
        hold_cutover=hold_cutover,
        before_first_write=before_first_write,
        scripts_in=scripts_in,
        with_pass_scripts=with_pass_scripts,
    )


def _with_limits(connection: Connection, run: Run, plan: Plan) -> Run:
    """The open run with the limits of governor and breaker, and the notifications, that the plan has now."""
    run = _with_readers(connection, run, plan)
    taken_over = ("governor", "breaker", "notifications")
    changes = {name: getattr(plan, name) for name in taken_over if getattr(plan, name) != getattr(run.plan, name)}
    if not changes:
        return run
    with connection.transaction():
        runs.set_plan(connection, run.run_id, run.plan.model_copy(update=changes))
        words = f"changed in the plan: {', '.join(changes)}"
        runs.add_event(connection, run.run_id, actor="operator", kind="governor", message=words)
    return runs.read_run(connection, run.run_id)


def _with_readers(connection: Connection, run: Run, plan: Plan) -> Run:
    """The run, read by those whom the plan names now: given again, because a role may have lost it meanwhile."""
    let_read(connection, plan.access.readers, before=run.plan.access.readers)
    let_read_steps(connection, plan)
    if plan.access == run.plan.access:
        return run
    with connection.transaction():
        runs.set_plan(connection, run.run_id, run.plan.model_copy(update={"access": plan.access}))
        words = f"changed in the plan: readers are {', '.join(plan.access.readers) or 'none'}"
        runs.add_event(connection, run.run_id, actor="operator", kind="access", message=words)
    return runs.read_run(connection, run.run_id)


def _begin(
    connection: Connection,
    file: PlanFile,
    *,
    hold_cutover: bool,
    before_first_write: Callable[[], None],
    scripts_in: Path | None,
    with_pass_scripts: bool,
) -> Run:
    """Scripts of earlier phases change the catalogue, so tables are planned when these have run.

    The first look is at the names of now, which step 07 may change. Step 11 drops what the pass over the tables leaves
    behind, so it is planned with them.
    """
    doing("reading the catalogue")
    now = named_now(connection, file).file
    resolved, specs = look(connection, now)
    refuse_unknown(connection, now)
    doing("composing the scripts of the steps")
    work = work_of(connection, now.plan, resolved, specs)
    compiled = compile_steps(connection, file.plan, _folder(file))
    at_once = not any(each.asked and each.step.phase < PHASE for each in compiled)
    # Composing the pass takes a tenth of a second a table; before the scripts of earlier phases only readers need it.
    of_pass = compile_pass(connection, work) if with_pass_scripts and (at_once or scripts_in is not None) else []
    deprecated = compile_deprecated(connection, work)
    of_pass.append(deprecated)
    if scripts_in is not None:
        refuse_other_scripts([*compiled, *of_pass], scripts_in)
    refuse_dangling(connection, now, resolved)
    doing("asking the broker whether it answers")
    before_first_write()
    measured = measure_before(connection, file.plan)
    doing("writing the plan into the ledger")
    runs.ensure_ledger(connection)
    before = runs.latest_run(connection)
    let_read(connection, file.plan.access.readers, before=() if before is None else before.plan.access.readers)
    with connection.transaction():
        run_id = runs.create_run(connection, file.plan, hold_cutover=hold_cutover)
        runs.add_event(connection, run_id, actor="operator", kind="run", message="the run began")
        _keep_scripts(connection, run_id, compiled)
        keep_pass(connection, run_id, of_pass, reviewed=scripts_in is not None)
        if at_once:
            _write_tables(connection, run_id, file.plan, resolved, specs)
            _keep_scripts(connection, run_id, [deprecated])
        elif not file.plan.wanted_tables:
            _keep_scripts(connection, run_id, [deprecated])
        plan_caches(connection, run_id, file.plan, named_now=now.plan)
        measurements.keep(connection, run_id, "before", measured)
    return runs.read_run(connection, run_id)


def plan_tables(connection: Connection, run: Run) -> bool:
    """Plan the tables of a run whose scripts have run; False where they are planned already.

    Raises NeedsPerson or WrongUse where the plan does not fit the database as it is now.
    """
    if not run.plan.wanted_tables or scripts.has_step(connection, run.run_id, run.plan.steps.carrier):
        return False
    words = "the steps before have changed the catalogue: it is checked again, and the tables are planned"
    runs.add_event(connection, run.run_id, actor="coordinator", kind="run", message=words)
    doing("planning the tables")
    resolved, specs = look(connection, PlanFile(plan=run.plan, source="the run's plan", text=""))
    work = work_of(connection, run.plan, resolved, specs)
    doing("composing the scripts of the pass over the tables")
    deprecated = compile_deprecated(connection, work)
    of_pass = [*compile_pass(connection, work), deprecated]
    refuse_unread(connection, run, of_pass)
    with connection.transaction():
        keep_pass(connection, run.run_id, of_pass, reviewed=False)
        _write_tables(connection, run.run_id, run.plan, resolved, specs)
        _keep_scripts(connection, run.run_id, [deprecated])
    return True


def compile_all(connection: Connection, file: PlanFile) -> list[CompiledStep]:
    """Every step as scripts: those of the open run of this plan, or what a run would begin with now."""
    present = runs.open_run(connection)
    if present is None or present.plan_digest != file.plan.digest():
        doing("looking for steps that were done by hand")
        done = done_by_hand(connection, file.plan)
        made = compile_steps(connection, file.plan, _folder(file), done=done) + _pass_now(connection, file)
    else:
        kept = stored(connection, present)
        made = as_stored(present.plan, kept) + _pass_of(connection, present, file, kept)
    return sorted(made, key=lambda each: each.step.number)


def _pass_now(connection: Connection, file: PlanFile) -> list[CompiledStep]:
    """The pass over the tables, and what step 11 drops behind it, as they are now."""
    doing("reading the catalogue")
    now = named_now(connection, file).file
    resolved, specs = look(connection, now)
    doing("composing the scripts of the pass over the tables")
    work = work_of(connection, now.plan, resolved, specs)
    return [*compile_pass(connection, work), compile_deprecated(connection, work)]


def _pass_of(connection: Connection, run: Run, file: PlanFile, kept: Mapping[str, Script]) -> list[CompiledStep]:
    """As its tables were planned; before they are, as they would be now."""
    if scripts.has_step(connection, run.run_id, run.plan.steps.carrier):
        return [*as_kept(kept), stored_step(DROP_DEPRECATED, run.plan, kept)]
    return _pass_now(connection, file)


def _folder(file: PlanFile) -> Path:
    """Where names of files in the plan go from."""
    return Path(file.source).parent


def _review(connection: Connection, run: Run, file: PlanFile, folder: Path) -> None:
    """Before a run goes on with scripts that somebody has read: they are its own. Raises WrongUse."""
    kept = stored(connection, run)
    of_pass = _pass_of(connection, run, file, kept)
    refuse_other_scripts([*as_stored(run.plan, kept), *of_pass], folder)
    with connection.transaction():
        keep_pass(connection, run.run_id, of_pass, reviewed=True)


def look(connection: Connection, file: PlanFile) -> tuple[Resolved, list[TableSpec]]:
    """The plan's tables in the database. Raises where there is something in the way; nothing is written."""
    resolved = resolve(connection, file)
    refuse_blockers(connection, file, resolved)
    resolved = refuse_orphans(connection, file, resolved)
    plain = [
        table_spec(
            connection,
            planned,
            live,
            run_id=0,
            table_no=number,
            enums=resolved.enums,
            plain_patterns=file.plan.options.gives_up_patterns,
        )
        for number, (planned, live) in enumerate(resolved.tables, start=1)
    ]
    return resolved, with_quarantine(plain, resolved.tables, resolved.foreign_keys)


def _keep_scripts(connection: Connection, run_id: int, compiled: Sequence[CompiledStep]) -> None:
    for each in compiled:
        if each.asked:
            scripts.add_script(connection, run_id, each.step, "forward", each.forward)
            scripts.add_script(connection, run_id, each.step, "back", each.back)


def _write_tables(
    connection: Connection, run_id: int, plan: Plan, resolved: Resolved, specs: Sequence[TableSpec]
) -> None:
    """Tables, sets and what is given up, in the caller's transaction."""
    runs.add_step(connection, run_id, phase=PHASE, phase_name=PHASES[PHASE], step=plan.steps.carrier)
    sets = planned_sets(connection, specs, resolved.foreign_keys, plan.options.sets)
    numbers = {spec.oid: set_no for set_no, (members, _) in sets.items() for spec in members}
    lost = lost_keys(specs, resolved.foreign_keys)
    for set_no, (_, documents) in sorted(sets.items()):
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
    for key in (key for key in resolved.foreign_keys if key.orphans):
        words = f"foreign key {key.name} has {counted(key.orphans, 'row')} without a parent: it comes back NOT VALID"
        subject = f"{key.schema}.{key.table_name}"
        runs.add_event(connection, run_id, actor="operator", kind="consent", subject=subject, message=words)
    for done in resolved.already:
        runs.add_event(
            connection, run_id, actor="coordinator", kind=runs.ALREADY, subject=done.place, message=done.said
        )
    for each in lost:
        words = f"foreign key {each.key.name} of {each.key.schema}.{each.key.table_name} goes with the swap"
        runs.add_event(connection, run_id, actor="operator", kind="consent", subject=each.spec.full_name, message=words)
    for spec in specs:
        patterns = read_pattern_indexes(connection, spec) if spec.plain_patterns else []
        for what in dict.fromkeys(pattern.fate for pattern in patterns):
            named = ", ".join(pattern.name for pattern in patterns if pattern.fate == what)
            words = f"indexes for LIKE: {named}: {what}"
            runs.add_event(connection, run_id, actor="operator", kind="consent", subject=spec.full_name, message=words)


def is_finished(run: Run) -> bool:
    return run.state in (RunState.DONE, RunState.FINISHED)
