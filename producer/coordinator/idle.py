"""When a turn of the coordinator moved nothing: the run is done, continues by itself, or needs the operator."""

from __future__ import annotations

from collections.abc import Sequence

from producer.coordinator.facts import Facts
from producer.coordinator.pauses import Pauses
from producer.measurement.measure import measure_after
from producer.planning.cache_resolution import measure_tables
from producer.stages.cache_order import cache_stop_reasons, caches_can_continue
from producer.stages.can_continue import can_continue, how_to_continue, stop_reasons
from replank.values.states import CacheState, RunState, TableState
from sql.ledger.runs import costs, measurements, runs
from sql.ledger.runs.events import add_event, finish_steps
from sql.ledger.runs.runs import Run
from sql.ledger.tables import cache_step
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection, apply_settings
from sql.swap.views_beside import building_schemas, drop_empty_schemas


def end_if_done(facts: Facts, present: Sequence[RunTable], pauses: Pauses) -> None:
    """End the run if it is done, or report why it needs the operator. `present` are the tables after this turn."""
    connection, run, unfinished = facts.connection, facts.run, facts.unfinished
    tables_done = all(table.state is TableState.DONE for table in present)
    everyone = facts.caches
    if tables_done and all(cache.state is CacheState.DONE for cache in everyone):
        _end_run(facts, with_caches=bool(everyone))
        return
    sets, free = facts.sets, _free_sets(facts)
    tables_now, jobs_now = pauses.paused_as_blocked(present), pauses.unfinished_without_paused(unfinished)
    if can_continue(tables_now, free, jobs_now):
        _report_reason(facts, "")
        return
    of_caches = facts.unfinished_of_caches
    unpaused = pauses.unpaused_caches(everyone)
    if caches_can_continue(unpaused, pauses.caches_without_paused(of_caches), tables_done=tables_done):
        return
    operator_reasons = stop_reasons(
        present, sets, unfinished, [*cache_stop_reasons(everyone, of_caches), *pauses.breaker_pauses]
    )
    waits = can_continue(tables_now, sets, jobs_now)
    if waits and not operator_reasons:
        _report_reason(facts, "")
    elif waits or operator_reasons or not pauses.paused_by_operator:
        freed = how_to_continue(connection, run.run_id, pauses.held_back)
        # What waits is kept in step meanwhile; who waits for a window must not learn of the rest when it opens.
        report = _report_reason if waits else call_operator
        report(facts, f"{operator_reasons.rstrip('.') or 'No table or cache can continue'}{freed}")


def call_operator(facts: Facts, reason: str) -> None:
    """The run stops, and says why."""
    connection, run = facts.connection, facts.run
    runs.set_run_state(connection, run.run_id, RunState.NEEDS_OPERATOR, reason)
    add_event(connection, run.run_id, actor="coordinator", kind="needs_operator", message=reason)
    facts.move(RunState.NEEDS_OPERATOR)


def _report_reason(facts: Facts, reason: str) -> None:
    """Something needs the operator while other tables only wait for their cutover. Logged once; empty removes it."""
    connection, run = facts.connection, facts.run
    if run.reason != reason and runs.set_reason(connection, run.run_id, reason) and reason:
        add_event(connection, run.run_id, actor="coordinator", kind="needs_operator", message=reason)


def _free_sets(facts: Facts) -> Sequence[ConversionSet]:
    """None where an operator holds them, or their window is closed."""
    if facts.run.hold_cutover:
        return ()
    return () if facts.window is not None and facts.window.reason else facts.sets


def _end_run(facts: Facts, *, with_caches: bool) -> None:
    connection, run = facts.connection, facts.run
    measured = measure_tables(connection, run.plan) if with_caches else {}
    specs = [table.spec for table in facts.tables]
    after = measure_after(connection, run, specs, lambda: _still_running(connection, run))
    if after is None:
        return
    with connection.transaction():
        apply_settings(connection, {"synchronous_commit": "on"}, local=True)
        cache_step.measure(connection, run.run_id, {"after": measured})
        measurements.keep(connection, run.run_id, "after", after)
        costs.measure(connection, run.run_id)
        finish_steps(connection, run.run_id)
        runs.set_run_state(connection, run.run_id, RunState.DONE)
        words = "the run is done: every table and cache is done, and every step is verified"
        add_event(connection, run.run_id, actor="coordinator", kind="done", message=words)
        drop_empty_schemas(connection, building_schemas(connection, "replank_next"))
    facts.move(RunState.DONE)


def _still_running(connection: Connection, run: Run) -> bool:
    """Whether the run is neither paused nor being rolled back: read again, because measuring takes time."""
    present = runs.read_run(connection, run.run_id)
    return present.state is RunState.RUNNING and not present.paused
