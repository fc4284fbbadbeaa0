"""A prepared run goes into the ledger: its plan, scripts, caches, and what becomes of each table."""

from __future__ import annotations

from dataclasses import replace

from producer.compiling.review import keep_pass, keep_scripts
from producer.compiling.run_scripts import RunScripts
from producer.planning.cache_resolution import plan_caches
from producer.planning.conversion_sets import planned_sets
from producer.planning.prepared_run import PreparedRun
from producer.planning.repartition import lost_keys
from producer.planning.table_specs import choose_axis
from replank.values.measurement import Measurement
from replank.values.steps import BY_NAME, PHASES
from replank.wording import counted
from sql.access.readers import let_read
from sql.catalogue.catalogue_snapshot import read_objects, subjects
from sql.ledger.runs import catalogue_before, measurements, runs
from sql.ledger.runs.events import ALREADY, add_event, add_step
from sql.ledger.tables import conversion_sets, quarantines, tables
from sql.ledger.upgrades.ledger import ensure_ledger
from sql.next_table.pattern_indexes import read_pattern_indexes
from sql.quarantine.quarantined_rows import create_quarantine
from sql.session.connection import Connection

FILLED_IN_PLACE = 0
"""The set of tables that do not cut over."""


def write_run(
    connection: Connection,
    prepared: PreparedRun,
    made: RunScripts,
    measured: Measurement,
    *,
    hold_cutover: bool,
    reviewed: bool,
) -> int:
    """A new run, its scripts, its caches and, where no script comes before them, its tables. Returns its number."""
    plan = prepared.said.plan
    ensure_ledger(connection)
    before = runs.latest_run(connection)
    let_read(connection, plan.access.readers, before=() if before is None else before.plan.access.readers)
    with connection.transaction():
        run_id = runs.create_run(connection, plan, hold_cutover=hold_cutover)
        add_event(connection, run_id, actor="operator", kind="run", message="the run began")
        keep_scripts(connection, run_id, made.steps)
        keep_pass(connection, run_id, made.tables.all, reviewed=reviewed)
        if made.tables_come_first:
            write_tables(connection, run_id, prepared)
        if made.tables_come_first or not plan.wanted_tables:
            keep_scripts(connection, run_id, [made.tables.deprecated])
        plan_caches(connection, run_id, plan, named_now=prepared.plan)
        measurements.keep(connection, run_id, "before", measured)
    return run_id


def write_tables(connection: Connection, run_id: int, prepared: PreparedRun) -> None:
    """Tables, sets and what is given up, in the caller's transaction."""
    plan = prepared.said.plan
    specs = [replace(spec, run_id=run_id) for spec in prepared.specs]
    step = BY_NAME[plan.steps.carrier]
    add_step(connection, run_id, phase=step.phase, phase_name=PHASES[step.phase], step=step.name)
    sets = planned_sets(connection, specs, prepared.foreign_keys, plan.options.sets)
    numbers = {spec.oid: set_no for set_no, (members, _) in sets.items() for spec in members}
    for set_no, (_, documents) in sorted(sets.items()):
        conversion_sets.add_set(connection, run_id, set_no, documents)
    for spec, subject in zip(specs, prepared.subjects, strict=True):
        axis, reason = choose_axis(connection, subject.planned, subject.live)
        tables.add_table(
            connection,
            spec,
            set_no=numbers.get(spec.oid, FILLED_IN_PLACE),
            axis=axis,
            axis_reason=reason,
            rows_estimate=max(subject.live.rows_estimate, 0),
        )
        if any(column.on_invalid not in ("fail", "quarantine") for column in spec.columns):
            # Their texts are no spellings of their uuids.
            tables.compare_values(connection, spec)
        if spec.settles:
            create_quarantine(connection, spec)
            quarantines.add(connection, spec)
    catalogue_before.keep(connection, run_id, read_objects(connection, subjects(connection, specs)))
    _add_events(connection, run_id, prepared)


def _add_events(connection: Connection, run_id: int, prepared: PreparedRun) -> None:
    """What the plan consents to, and what of it was there before, as events of the run."""
    for key in (key for key in prepared.foreign_keys if key.orphans):
        words = f"foreign key {key.name} has {counted(key.orphans, 'row')} without a parent: it is created NOT VALID"
        _add_consent(connection, run_id, f"{key.schema}.{key.table_name}", words)
    for done in prepared.already:
        add_event(connection, run_id, actor="coordinator", kind=ALREADY, subject=done.place, message=done.said)
    specs = prepared.specs
    for each in lost_keys(specs, prepared.foreign_keys):
        words = f"foreign key {each.key.name} of {each.key.schema}.{each.key.table_name} is dropped at the swap"
        _add_consent(connection, run_id, each.spec.full_name, words)
    for spec in specs:
        patterns = read_pattern_indexes(connection, spec) if spec.plain_patterns else []
        for what in dict.fromkeys(pattern.fate for pattern in patterns):
            named = ", ".join(pattern.name for pattern in patterns if pattern.fate == what)
            _add_consent(connection, run_id, spec.full_name, f"indexes for LIKE: {named}: {what}")


def _add_consent(connection: Connection, run_id: int, subject: str, words: str) -> None:
    add_event(connection, run_id, actor="operator", kind="consent", subject=subject, message=words)
