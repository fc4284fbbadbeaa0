"""The coordinator's part in scripts: one runs in a session of its own, and the run is never lost sight of."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

import structlog

from producer.scripts.planned_scripts import blocks_by, run_to_end
from producer.scripts.run_script import ScriptRunner
from replank.errors import NeedsOperator
from replank.values.states import RunState
from sql.ledger.runs import restraints, runs
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.ledger.runs.scripts import PlannedScript
from sql.session.connection import Connection, connect

log = structlog.get_logger()

CHECK_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class WatchedScript:
    """Runs one script, and checks the run's state now and then."""

    connection: Connection
    database_url: str
    run: Run
    random_source: random.Random
    between_checks: Callable[[], None]

    def run_to_end(self, planned: PlannedScript) -> None:
        """Run the script to its end, or until the run is paused or rolled back. Raises NeedsOperator."""
        log.info("step", step=planned.step.name, blocks=len(planned.script.blocks), done=planned.blocks_done)
        run_to_end(self.connection, planned, self._run_blocks, at_end=partial(self._add_event, planned))

    def _add_event(self, planned: PlannedScript, words: str) -> None:
        add_event(
            self.connection,
            planned.run_id,
            actor="coordinator",
            kind="step",
            subject=planned.step.name,
            message=words,
        )

    def _run_blocks(self, planned: PlannedScript) -> bool:
        attempts = self.run.plan.options.capture_attempts
        with connect(self.database_url, name="step") as session, ThreadPoolExecutor(1) as pool:
            runner = ScriptRunner(connection=session, attempts=attempts, random_source=self.random_source)
            future = pool.submit(blocks_by(runner, partial(_may_continue, session)), planned)
            try:
                return self._watch(session, future)
            except BaseException:
                # The block under way would be waited for otherwise, however long it takes.
                session.cancel_safe(timeout=5)
                raise

    def _watch(self, session: Connection, future: Future[bool]) -> bool:
        """Whether the script has ended. A rollback does not wait for the block under way."""
        cancelled = False
        while not wait([future], timeout=CHECK_EVERY_S).done:
            self.between_checks()
            if runs.read_run(self.connection, self.run.run_id).state is not RunState.RUNNING:
                session.cancel_safe(timeout=5)
                cancelled = True
        try:
            return future.result()
        except NeedsOperator:
            # A panic cancels the block: it may be run again.
            if cancelled or runs.read_run(self.connection, self.run.run_id).paused:
                return False
            raise


def _may_continue(session: Connection, planned: PlannedScript) -> bool:
    """Between two blocks: whether neither the run nor this phase is paused, and no rollback has begun."""
    if runs.read_run(session, planned.run_id).state is not RunState.RUNNING:
        return False
    held_back = restraints.in_force(session, planned.run_id)
    return restraints.pause_of(held_back, phase=planned.step.phase) is None
