"""Reads what a run is doing now: each fact of the ledger once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from monitoring.estimate.eta import estimate
from monitoring.estimate.read_snapshot import read_snapshot
from monitoring.status.advice import read_advice
from monitoring.status.caches import caches_progress
from monitoring.status.gates import cutover_window, read_gates
from monitoring.status.headlines.verdict import no_worker_works
from monitoring.status.preparing import before_run
from monitoring.status.queues import Queue, Resent, paused_tables, read_resent, waiting_by_queue
from monitoring.status.rollback_possible import read_rollback_facts
from monitoring.status.status import DATA_STEP, Status, StepProgress
from monitoring.status.table_progress import read_table_progress
from replank.errors import WrongUse
from replank.values.states import OPEN_RUNS, JobState, RunState
from replank.values.steps import DATA_PHASE
from sql.ledger.jobs import failed, job_reports, work
from sql.ledger.jobs.work import Tally
from sql.ledger.reading.signs import Signs, read_signs
from sql.ledger.runs import rollbacks, runs, scripts
from sql.ledger.runs.events import read_already
from sql.ledger.runs.gates import waits_at_barrier
from sql.ledger.runs.preparation import preparing_session
from sql.ledger.runs.refusals import read_refused
from sql.ledger.runs.restraints import in_force
from sql.ledger.runs.runs import Run
from sql.ledger.runs.scripts import PlannedScript
from sql.ledger.tables import cache_step, caches, conversion_sets, tables
from sql.ledger.tables.caches import Cache
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection
from sql.session.leader_lock import read_leader


class NoRun(WrongUse):
    """There has never been a run on this database, or no ledger knows of one."""


RATE_WINDOW_S = 10.0


def read_status(connection: Connection) -> Status:
    """The newest run's status. Raises NoRun where there has never been a run."""
    # First: a run that begins meanwhile is then in the ledger.
    prepared = preparing_session(connection)
    run = runs.latest_run(connection)
    if run is None:
        raise NoRun("There is no run on this database. Begin one with `replank run PLAN`.")
    tallies = work.read_tallies(connection, run.run_id)
    present = tables.read_tables(connection, run.run_id)
    of_caches = caches.read_caches(connection, run.run_id)
    sets = conversion_sets.read_sets(connection, run.run_id)
    found = _with_workers(connection, _of_work(connection, run, tallies, present, of_caches, sets), tallies)
    found = replace(found, preparing=before_run(connection, run, prepared))
    # Where the run does not continue by itself, the time left is unknown.
    if run.reason or found.leader is None or any(s.problem for s in sets if s.swapped_at is None):
        return found
    if no_worker_works(found.headlines) or found.held:
        return found
    left = estimate(read_snapshot(connection, run, tallies, found=present, sets=sets, of_caches=of_caches))
    return found if left is None else replace(found, eta_s=(left.low, left.high))


def _of_work(
    connection: Connection,
    run: Run,
    tallies: Sequence[Tally],
    present: Sequence[RunTable],
    of_caches: Sequence[Cache],
    sets: Sequence[ConversionSet],
) -> Status:
    """Tables, caches, steps and gates: what is done of the run, and what may be done next."""
    progress = caches_progress(connection, run.run_id, of_caches)
    under_way = (cache_step.STEP, DATA_PHASE) if progress.under_way else scripts.present_step(connection, run.run_id)
    return Status(
        run=run,
        tables=read_table_progress(connection, run, tallies, present),
        jobs={state: sum(t.jobs for t in tallies if t.state == state) for state in map(str, JobState)},
        rate_rows_s=job_reports.rows_lately(connection, run.run_id, seconds=RATE_WINDOW_S) / RATE_WINDOW_S,
        eta_s=None,
        sets=tuple(map(_set_json, sets)),
        caches=progress,
        step=under_way or DATA_STEP,
        steps=tuple(map(_step_progress, scripts.forward_scripts(connection, run.run_id))),
        rollback_facts=read_rollback_facts(connection, run, sets, present),
        rollback=rollbacks.read(connection, run.run_id),
        gates=tuple(read_gates(connection, run.plan)),
        at_barrier=run.state is RunState.NEEDS_OPERATOR and waits_at_barrier(connection, run.run_id),
        restraints=tuple(in_force(connection, run.run_id)),
        left_out=tuple(failed.left_out(connection, run.run_id)) if _any_left_out(tallies) else (),
        cutover_window=cutover_window(connection, run.plan) if run.state in OPEN_RUNS else None,
        already=tuple(read_already(connection, run.run_id)),
        database=connection.info.dbname,
        host=f"{connection.info.host}:{connection.info.port}",
    )


def _with_workers(connection: Connection, found: Status, tallies: Sequence[Tally]) -> Status:
    """Who is there to do it: coordinator, workers, broker."""
    run = found.run
    signs = _signs(connection, run)
    processes = {queue.name: queue.processes for queue in signs.queues}
    waiting = waiting_by_queue(tallies, paused=paused_tables(found.restraints))
    queues = tuple(Queue(queue=name, processes=processes[name], waiting=jobs) for name, jobs in waiting.items())
    return replace(
        found,
        leader=read_leader(connection),
        refused=tuple(read_refused(connection, run.run_id)),
        workers=read_advice(connection, run, queues=queues, leased=found.jobs["leased"]),
        queues=queues,
        resent=read_resent(connection, run.run_id) if run.state in OPEN_RUNS else Resent(),
        signs=signs,
    )


def _step_progress(planned: PlannedScript) -> StepProgress:
    return StepProgress(
        name=planned.step.name,
        phase=planned.step.phase,
        blocks_done=planned.blocks_done,
        blocks=len(planned.script.blocks),
        finished=planned.finished,
    )


def _set_json(found: ConversionSet) -> dict[str, Any]:
    return {
        "set": found.set_no,
        "swapped": found.swapped_at is not None,
        "attempts": found.attempts,
        "waits_for": found.waits_for and str(found.waits_for),
        "problem": found.problem,
        "lock_wait_ms": found.lock_wait_ms,
        "lock_hold_ms": found.lock_hold_ms,
        "chance": found.chance,
        "longest_wait_ms": found.longest_wait_ms,
        "swapped_back": found.swapped_back_at is not None,
        "swap_back_wait_ms": found.swap_back_wait_ms,
        "swap_back_hold_ms": found.swap_back_hold_ms,
        "swap_back_longest_wait_ms": found.swap_back_longest_wait_ms,
    }


def read_again(connection: Connection, before: Status) -> Status | None:
    """The same run a little later, from what is cheap to read; None where it is another run, or in another state.

    Tables, sets and counts of jobs that wait or are done stay as they were seen before.
    """
    run = runs.latest_run(connection)
    if run is None or (run.run_id, run.state, run.created_at) != (
        before.run.run_id,
        before.run.state,
        before.run.created_at,
    ):
        return None
    signs = _signs(connection, run)
    present = replace(
        before,
        run=run,
        signs=signs,
        jobs={**before.jobs, "leased": signs.leased, "failed": signs.failed},
        rate_rows_s=job_reports.rows_lately(connection, run.run_id, seconds=RATE_WINDOW_S) / RATE_WINDOW_S,
        restraints=tuple(in_force(connection, run.run_id)),
        leader=read_leader(connection),
        rollback=rollbacks.read(connection, run.run_id),
    )
    if present.leader is None or run.reason or present.held or no_worker_works(present.headlines):
        return replace(present, eta_s=None)
    return present


def _signs(connection: Connection, run: Run) -> Signs:
    return read_signs(connection, run.run_id, held=run.hold_cutover and run.state is RunState.RUNNING)


def _any_left_out(tallies: Sequence[Tally]) -> bool:
    """Whether it is worth looking for them among all jobs."""
    return any(tally.state == JobState.SKIPPED for tally in tallies)
