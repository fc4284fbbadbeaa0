"""The coordinator: asks the ledger what is open, does it, and sends what workers shall do.

All its state is in the ledger. Killed at any point, it is followed by one that reads the same answer.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
import structlog

from producer.coordinator.idle import call_a_person, look_for_the_end
from producer.coordinator.pauses import Resting
from producer.dispatch import breaker
from producer.dispatch.dispatcher import Dispatcher
from producer.dispatch.governor import Governor, Window
from producer.dispatch.sending import Sending
from producer.gates.barrier import why_closed
from producer.scripts.drive import next_script
from producer.scripts.watched_script import WatchedScript
from producer.stages.cache_stages import Caching
from producer.stages.cutover import CuttingOver
from producer.stages.cutover_windows import window_now
from producer.stages.keeping_proof import KeepingProof
from producer.stages.pooler_reconnect import reconnect_poolers
from producer.stages.shared_snapshots import SnapshotKeeper
from producer.stages.table_stages import Stages
from producer.starting.plan_tables import plan_tables
from producer.steps.readers import let_read_steps
from replank.errors import NeedsPerson, OutcomeUnknown, WrongUse
from replank.settings import Settings
from replank.values.states import RunState, TableState
from replank.values.steps import DATA_PHASE, STEPS, Step
from sql.ledger.jobs import job_queue, job_reports
from sql.ledger.jobs.job_reports import Unfinished
from sql.ledger.runs import gates, restraints, runs
from sql.ledger.runs.refusals import listen, note_refused, note_what_was_heard
from sql.ledger.runs.restraints import FREED_BY, Restraint
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, conversion_sets, tables
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection
from sql.swap.event_triggers import refused_by
from sql.swap.lock_moment import Traffic

log = structlog.get_logger()

TICK_S = 0.5
"""How long the coordinator rests when nothing wakes it: a finished job does."""

AFTER_NEWS_S = 0.02

SWEEP_S = 1.0

MEASURE_S = 5.0


@dataclass(kw_only=True)
class Coordinator:
    """Drives one run on one connection until it is done or needs a person."""

    connection: Connection
    settings: Settings
    run_id: int
    dispatcher: Dispatcher
    random_source: random.Random = field(default_factory=random.Random)
    governor: Governor = field(default_factory=Governor)
    between_turns: Callable[[], None] = lambda: None
    until: Step = STEPS[-1]
    """The last step to take; what comes after it waits for another `run`."""
    _last_sweep: float = 0.0
    _last_measure: float = 0.0
    _past_gates: bool = False
    _traffic: Mapping[str, Traffic] = field(default_factory=lambda: defaultdict(Traffic))
    _sending: Sending = field(init=False)

    def __post_init__(self) -> None:
        self._sending = Sending(
            connection=self.connection, dispatcher=self.dispatcher, resend_after_s=self.settings.resend_after_s
        )

    def drive(self) -> Run:
        """Work until the run is done or needs a person. Raises psycopg.OperationalError if cut off."""
        listen(self.connection)
        snapshots = SnapshotKeeper(self.settings.database())
        try:
            while True:
                run = runs.read_run(self.connection, self.run_id)
                if run.state is not RunState.RUNNING or (not run.paused and self._is_far_enough(run)):
                    return run
                present = self._govern(run)
                moved = False if run.paused else self._advance(run, snapshots, present)
                self._sending.send(run, window=present.now)
                self.between_turns()
                if not moved:
                    self._rest()
                else:
                    # A busy run does not rest for a long time.
                    note_what_was_heard(self.connection, self.run_id)
        finally:
            snapshots.close()

    def _advance(self, run: Run, snapshots: SnapshotKeeper, present: Window) -> bool:
        """The next script, the gates, or a turn of the data migration. True if anything moved.

        No script begins while the governor's window is closed.
        """
        script = next_script(self.connection, run.run_id)
        if present.now == 0 and script is not None:
            return False
        held_back = restraints.in_force(self.connection, run.run_id)
        if restraints.pause_of(held_back, phase=script.step.phase if script else DATA_PHASE):
            # What was leased before may have lost its worker meanwhile.
            self._sweep(run)
            return False
        return self._take_script(run) or self._stop_at_gates(run) or self._turn(run, snapshots, held_back)

    def _stop_at_gates(self, run: Run) -> bool:
        """The barrier before the data migration: nothing of it is begun while a gate is open. True if it stops."""
        if not self._past_gates:
            reason = why_closed(self.connection, run)
            if reason:
                call_a_person(self.connection, run, reason)
                return True
            self._past_gates = True
        self._measure(run)
        return False

    def _measure(self, run: Run) -> None:
        if time.monotonic() - self._last_measure > MEASURE_S:
            self._last_measure = time.monotonic()
            gates.measure(self.connection, run.run_id)

    def _rest(self) -> None:
        """Until a worker has news, or the tick is over; several news are one waking."""
        told: list[str] = []
        for notice in self.connection.notifies(timeout=TICK_S, stop_after=1):
            told.append(notice.payload)
            # The worker that has just finished gets its next job first: both may need the same core.
            time.sleep(AFTER_NEWS_S)
        for payload in filter(None, told):
            note_refused(self.connection, self.run_id, payload)

    def _is_far_enough(self, run: Run) -> bool:
        """Whether what comes next lies behind the step that was asked for."""
        script = next_script(self.connection, run.run_id)
        if script is not None:
            return script.step.number > self.until.number
        return bool(run.plan.wanted_tables or run.plan.caches) and self.until.phase < DATA_PHASE

    def _take_script(self, run: Run) -> bool:
        """The next script, or the planning of the tables that comes after the last one. True if there was any."""
        script = next_script(self.connection, run.run_id)
        try:
            if script is None:
                return plan_tables(self.connection, run)
            WatchedScript(
                connection=self.connection,
                database_url=self.settings.database(),
                run=run,
                random_source=self.random_source,
                between_looks=self.between_turns,
            ).take(script)
            let_read_steps(self.connection, run.plan)
        except (NeedsPerson, WrongUse) as error:
            call_a_person(self.connection, run, str(error))
        return True

    def _turn(self, run: Run, snapshots: SnapshotKeeper, held_back: Sequence[Restraint] | None = None) -> bool:
        """Sweep, advance every table and set once. True if anything moved.

        What an event trigger refuses anywhere in it stops the run, with its name; whatever else fails is raised.
        """
        try:
            return self._advance_all(run, snapshots, held_back)
        except psycopg.OperationalError:
            raise
        except psycopg.DatabaseError as error:
            refused = "" if self.connection.closed else refused_by(self.connection, error)
            if not refused:
                raise
            said = (error.diag.message_primary or str(error)).rstrip(".")
            call_a_person(self.connection, run, f"The server refused a statement: {said}.{refused}")
            return True

    def _advance_all(self, run: Run, snapshots: SnapshotKeeper, held_back: Sequence[Restraint] | None) -> bool:
        self._sweep(run)
        if held_back is None:
            held_back = restraints.in_force(self.connection, run.run_id)
        rest = Resting(connection=self.connection, run_id=run.run_id, held_back=held_back)
        stages = Stages(
            connection=self.connection,
            step=run.plan.steps.carrier,
            options=run.plan.options,
            snapshots=snapshots,
            random_source=self.random_source,
        )
        unfinished = job_reports.unfinished(self.connection, run.run_id)
        present = tables.read_tables(self.connection, run.run_id)
        moved = False
        for table in rest.going_on(present):
            moved = stages.advance(table, unfinished.get(table.table_no)) or moved
        keeping = KeepingProof(
            connection=self.connection,
            step=run.plan.steps.carrier,
            options=run.plan.options,
            snapshots=snapshots,
            random_source=self.random_source,
            run_id=run.run_id,
        )
        present, unproved = keeping.look(present, rest.going_on(present))
        moved = self._cut_over(run, keeping, present, unfinished, rest) or unproved or moved
        reconnect_poolers(self.connection, run, actor="coordinator")
        moved = self._rebuild_caches(run, snapshots, present, rest) or moved
        if not moved:
            look_for_the_end(self.connection, run, present, unfinished, rest)
        return moved

    def _cut_over(
        self,
        run: Run,
        keeping: KeepingProof,
        present: Sequence[RunTable],
        unfinished: Mapping[int, Unfinished],
        rest: Resting,
    ) -> bool:
        cutting = CuttingOver(
            connection=self.connection,
            step=run.plan.steps.carrier,
            options=run.plan.options,
            snapshots=keeping.snapshots,
            random_source=self.random_source,
            keeping=keeping,
            present=present,
            window=lambda: window_now(self.connection, run),
            traffic=self._traffic,
        )
        for conversion_set in conversion_sets.read_sets(self.connection, run.run_id):
            members = [table for table in present if table.set_no == conversion_set.set_no]
            resting = rest.why_set(members)
            if resting:
                cutting.wait(conversion_set, members, resting)
                members = rest.going_on(members)
            elif FREED_BY in conversion_set.problem:
                conversion_sets.hold_set(self.connection, conversion_set, "")
            try:
                if cutting.advance(conversion_set, members, unfinished, held=run.hold_cutover or bool(resting)):
                    return True
            except OutcomeUnknown as error:
                # The ledger knows: the next turn reads whether the swap committed.
                log.info("outcome unknown, asking the ledger", reason=str(error))
                return True
        return False

    def _rebuild_caches(self, run: Run, snapshots: SnapshotKeeper, present: Sequence[RunTable], rest: Resting) -> bool:
        """The barrier: nothing of a cache is touched before every table of the run is done."""
        if not run.plan.caches or not all(table.state is TableState.DONE for table in present):
            return False
        caches.start_step(self.connection, run.run_id)
        caching = Caching(
            connection=self.connection,
            step=caches.STEP,
            options=run.plan.options,
            snapshots=snapshots,
            random_source=self.random_source,
            plan=run.plan,
            rebuilt=frozenset(table.spec.full_name for table in present if table.spec.method == "rebuild"),
            held=run.hold_cutover,
            window=lambda: window_now(self.connection, run),
            traffic=self._traffic,
        )
        everyone = caches.read_caches(self.connection, run.run_id)
        unfinished = caches.unfinished(self.connection, run.run_id)
        # Each of them has its turn, whatever the others do.
        going_on = rest.caches_going_on(everyone)
        return any([caching.advance(cache, everyone, unfinished.get(cache.cache_no)) for cache in going_on])

    def _sweep(self, run: Run) -> None:
        """Jobs whose worker is gone wait again; those that only kill their workers stop."""
        if time.monotonic() - self._last_sweep < SWEEP_S:
            return
        self._last_sweep = time.monotonic()
        for orphan in job_queue.take_back_orphans(self.connection, run.run_id):
            log.info("job taken back from a lost worker", job=orphan["job_id"], worker=orphan["worker"])
        exhausted = job_queue.fail_exhausted(self.connection, run.run_id, attempts=self.settings.job_attempts)
        if exhausted:
            log.error("jobs used up their attempts", jobs=exhausted)
        breaker.look(self.connection, run)

    def _govern(self, run: Run) -> Window:
        """The window of this turn, written down where it is another one; what is sent beyond it is called back."""
        present = self.governor.window(self.connection, run)
        if (present.now, present.maximum, present.reason) != (run.window_now, run.window_max, run.window_reason):
            runs.set_window(
                self.connection,
                run.run_id,
                now=present.now,
                maximum=present.maximum,
                cause=present.cause,
                reason=present.reason,
            )
            if present.now < run.window_now:
                self._sending.recall(run, window=present.now)
        return present
