"""The coordinator: asks the ledger what is open, does it, and sends what workers shall do.

All its state is in the ledger. Killed at any point, it is followed by one that reads the same answer.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from producer.coordinator.data_turn import DataTurn
from producer.coordinator.facts import Facts, read_facts
from producer.coordinator.idle import call_operator
from producer.dispatch import breaker
from producer.dispatch.dispatcher import Dispatcher
from producer.dispatch.governor import Governor, Window
from producer.dispatch.sending import Sending
from producer.gates.barrier import why_closed
from producer.scripts.watched_script import WatchedScript
from producer.stages.shared_snapshots import SnapshotKeeper
from producer.starting.plan_tables import plan_tables
from producer.steps.readers import let_read_steps
from replank.errors import NeedsOperator, WrongUse
from replank.settings import Settings
from replank.values.states import RunState
from replank.values.steps import DATA_PHASE, STEPS, Step
from sql.ledger.jobs import job_queue
from sql.ledger.runs import costs, restraints, runs
from sql.ledger.runs.refusals import listen, note_notifications, note_refused
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection
from sql.swap.lock_moment import Traffic

log = structlog.get_logger()

TICK_S = 0.5
"""How long the coordinator rests when nothing wakes it: a finished job does."""

AFTER_NEWS_S = 0.02

SWEEP_S = 1.0

MEASURE_S = 5.0


@dataclass(kw_only=True)
class Coordinator:
    """Works on one run, on one connection, until it is done or needs the operator."""

    connection: Connection
    settings: Settings
    run_id: int
    dispatcher: Dispatcher
    random_source: random.Random = field(default_factory=random.Random)
    governor: Governor = field(default_factory=Governor)
    between_turns: Callable[[Facts], None] = lambda _: None
    """Called at the end of each turn with what it has read."""
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
        """Work until the run is done or needs the operator. Raises psycopg.OperationalError if cut off."""
        listen(self.connection)
        snapshots = SnapshotKeeper(self.settings.database())
        try:
            while True:
                facts = read_facts(self.connection, self.run_id)
                run = facts.run
                if run.state is not RunState.RUNNING or (not run.paused and self._is_far_enough(facts)):
                    return run
                present = self._govern(facts)
                moved = False if run.paused else self._advance(facts, snapshots, present)
                self._send(facts, present)
                self.between_turns(facts)
                if not moved:
                    self._wait_for_news()
                else:
                    # A busy run does not rest for a long time.
                    note_notifications(self.connection, self.run_id)
        finally:
            snapshots.close()

    def _send(self, facts: Facts, present: Window) -> None:
        self._sending.send(
            facts.run,
            window=present.now,
            names=lambda: {table.table_no: table.spec.full_name for table in facts.tables},
            processes=lambda: facts.processes,
        )

    def _advance(self, facts: Facts, snapshots: SnapshotKeeper, present: Window) -> bool:
        """The next script, the gates, or a turn of the data migration. True if anything moved.

        No script begins while the governor's window is closed.
        """
        script = facts.script
        if present.now == 0 and script is not None:
            return False
        if restraints.pause_of(facts.held_back, phase=script.step.phase if script else DATA_PHASE):
            # What was leased before may have lost its worker meanwhile.
            self._sweep(facts.run)
            return False
        return self._take_script(facts) or self._stop_at_gates(facts) or self.turn(facts, snapshots)

    def _stop_at_gates(self, facts: Facts) -> bool:
        """The barrier before the data migration: nothing of it is begun while a gate is open. True if it stops."""
        if not self._past_gates:
            reason = why_closed(self.connection, facts.run, lambda: facts.tables)
            if reason:
                call_operator(facts, reason)
                return True
            self._past_gates = True
        self._measure(facts.run)
        return False

    def _measure(self, run: Run) -> None:
        if time.monotonic() - self._last_measure > MEASURE_S:
            self._last_measure = time.monotonic()
            costs.measure(self.connection, run.run_id)

    def _wait_for_news(self) -> None:
        """Until a worker has news, or the tick is over; several news are one waking."""
        payloads: list[str] = []
        for notice in self.connection.notifies(timeout=TICK_S, stop_after=1):
            payloads.append(notice.payload)
            # The worker that has just finished gets its next job first: both may need the same core.
            time.sleep(AFTER_NEWS_S)
        for payload in filter(None, payloads):
            note_refused(self.connection, self.run_id, payload)

    def _is_far_enough(self, facts: Facts) -> bool:
        """Whether what comes next lies behind the step that was asked for."""
        run = facts.run
        if facts.script is not None:
            return facts.script.step.number > self.until.number
        return bool(run.plan.wanted_tables or run.plan.caches) and self.until.phase < DATA_PHASE

    def _take_script(self, facts: Facts) -> bool:
        """The next script, or the planning of the tables that comes after the last one. True if there was any."""
        run, script = facts.run, facts.script
        try:
            if script is None:
                return plan_tables(self.connection, run)
            WatchedScript(
                connection=self.connection,
                database_url=self.settings.database(),
                run=run,
                random_source=self.random_source,
                # It may take hours: the facts are read again for each check.
                between_checks=lambda: self.between_turns(read_facts(self.connection, self.run_id)),
            ).run_to_end(script)
            let_read_steps(self.connection, run.plan)
        except (NeedsOperator, WrongUse) as error:
            call_operator(facts, str(error))
        return True

    def turn(self, facts: Facts, snapshots: SnapshotKeeper) -> bool:
        """Sweep, advance every table, set and cache once. True if anything moved."""
        self._sweep(facts.run)
        return DataTurn(
            facts=facts, snapshots=snapshots, random_source=self.random_source, traffic=self._traffic
        ).advance()

    def _sweep(self, run: Run) -> None:
        """Jobs whose worker is gone wait again; those that only kill their workers stop."""
        if time.monotonic() - self._last_sweep < SWEEP_S:
            return
        self._last_sweep = time.monotonic()
        for orphan in job_queue.take_back_orphans(self.connection, run.run_id):
            log.info("job of a lost worker requeued", job=orphan.job_id, worker=orphan.worker)
        exhausted = job_queue.fail_exhausted(self.connection, run.run_id, attempts=self.settings.job_attempts)
        if exhausted:
            log.error("jobs used up their attempts", jobs=exhausted)
        breaker.pause_failing_tables(self.connection, run)

    def _govern(self, facts: Facts) -> Window:
        """The window of this turn, written down where it is another one; what is sent beyond it is called back."""
        run = facts.run
        present = self.governor.window(self.connection, run)
        if (present.now, present.maximum, present.reason) != (run.window_now, run.window_max, run.window_reason):
            runs.set_window(
                self.connection,
                run.run_id,
                now=present.now,
                maximum=present.maximum,
                cause=present.cause,
                signal=present.signal,
                reason=present.reason,
            )
            facts.decide(present)
            if present.now < run.window_now:
                self._sending.recall(run, window=present.now, processes=lambda: facts.processes)
        return present
