"""When a turn of the coordinator moved nothing: the run is done, goes on by itself, or needs a person."""

from __future__ import annotations

from collections.abc import Sequence

from producer.coordinator.facts import Facts
from producer.coordinator.pauses import Pauses
from producer.measurement.measure import measure_after
from producer.planning.cache_resolution import measure_tables
from producer.stages.cache_order import caches_can_go_on, why_caches_stopped
from producer.stages.can_continue import can_go_on, how_freed, why_stopped
from replank.values.states import CacheState, RunState, TableState
from sql.ledger.runs import gates, measurements, runs
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection, apply_settings
from sql.swap.views_beside import building_schemas, drop_empty_schemas


def end_if_done(facts: Facts, present: Sequence[RunTable], rest: Pauses) -> None:
    """Say that the run is done, or who must look at what. `present` are the tables, without what was taken back."""
    connection, run, unfinished = facts.connection, facts.run, facts.unfinished
    tables_done = all(table.state is TableState.DONE for table in present)
    everyone = facts.caches
    if tables_done and all(cache.state is CacheState.DONE for cache in everyone):
        _end(facts, with_caches=bool(everyone))
        return
    sets, free = facts.sets, _free_sets(facts)
    tables_now, jobs_now = rest.tables_as_they_stand(present), rest.unfinished_as_it_stands(unfinished)
    if can_go_on(tables_now, free, jobs_now):
        _tell(facts, "")
        return
    of_caches = facts.unfinished_of_caches
    going_on = rest.caches_going_on(everyone)
    if caches_can_go_on(going_on, rest.of_caches_as_it_stands(of_caches), tables_done=tables_done):
        return
    of_people = why_stopped(
        present, sets, unfinished, [*why_caches_stopped(everyone, of_caches), *rest.stopped_by_breaker]
    )
    waits = can_go_on(tables_now, sets, jobs_now)
    if waits and not of_people:
        _tell(facts, "")
    elif waits or of_people or not rest.waits_for_operator:
        freed = how_freed(connection, run.run_id, rest.held_back)
        # What waits is kept in step meanwhile; who waits for a window must not learn of the rest when it opens.
        say = _tell if waits else call_operator
        say(facts, f"{of_people.rstrip('.') or 'No table or cache can continue'}{freed}")


def call_operator(facts: Facts, reason: str) -> None:
    """The run stops, and says why."""
    connection, run = facts.connection, facts.run
    runs.set_run_state(connection, run.run_id, RunState.NEEDS_OPERATOR, reason)
    runs.add_event(connection, run.run_id, actor="coordinator", kind="needs_operator", message=reason)
    facts.move(RunState.NEEDS_OPERATOR)


def _tell(facts: Facts, reason: str) -> None:
    """Something needs a person, while others of the run only wait for their cutover. Said once; empty takes it back."""
    connection, run = facts.connection, facts.run
    if run.reason != reason and runs.set_reason(connection, run.run_id, reason) and reason:
        runs.add_event(connection, run.run_id, actor="coordinator", kind="needs_operator", message=reason)


def _free_sets(facts: Facts) -> Sequence[ConversionSet]:
    """None where an operator holds them, or their window is closed."""
    if facts.run.hold_cutover:
        return ()
    return () if facts.window is not None and facts.window.reason else facts.sets


def _end(facts: Facts, *, with_caches: bool) -> None:
    connection, run = facts.connection, facts.run
    measured = measure_tables(connection, run.plan) if with_caches else {}
    specs = [table.spec for table in facts.tables]
    after = measure_after(connection, run, specs, lambda: _still_running(connection, run))
    if after is None:
        return
    with connection.transaction():
        apply_settings(connection, {"synchronous_commit": "on"}, local=True)
        caches.measure_step(connection, run.run_id, {"after": measured})
        measurements.keep(connection, run.run_id, "after", after)
        gates.measure(connection, run.run_id)
        runs.finish_steps(connection, run.run_id)
        runs.set_run_state(connection, run.run_id, RunState.DONE)
        words = "the run is done: every table and cache is done, and every step is verified"
        runs.add_event(connection, run.run_id, actor="coordinator", kind="done", message=words)
        drop_empty_schemas(connection, building_schemas(connection, "replank_next"))
    facts.move(RunState.DONE)


def _still_running(connection: Connection, run: Run) -> bool:
    """Whether nobody has paused the run or asked to go back: read again, for measuring has taken its time."""
    present = runs.read_run(connection, run.run_id)
    return present.state is RunState.RUNNING and not present.paused
