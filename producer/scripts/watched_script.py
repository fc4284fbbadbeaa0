"""The coordinator's part in scripts: one runs in a session of its own, and the run is never lost sight of."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

import structlog

from producer.scripts.drive import blocks_by, drive
from producer.scripts.run_script import ScriptRunner
from replank.errors import NeedsOperator
from replank.values.states import RunState
from sql.ledger.runs import restraints, runs
from sql.ledger.runs.runs import Run
from sql.ledger.runs.scripts import PlannedScript
from sql.session.connection import Connection, connect

log = structlog.get_logger()

LOOK_S = 0.5


@dataclass(frozen=True, kw_only=True)
class WatchedScript:
    """Drives one script, and looks at the run now and then."""

    connection: Connection
    database_url: str
    run: Run
    random_source: random.Random
    between_looks: Callable[[], None]

    def take(self, planned: PlannedScript) -> None:
        """Run the script to its end, or until the run is paused or rolled back. Raises NeedsOperator."""
        log.info("step", step=planned.step.name, blocks=len(planned.script.blocks), done=planned.blocks_done)
        drive(self.connection, planned, self._run_blocks, at_end=partial(self._say, planned))

    def _say(self, planned: PlannedScript, words: str) -> None:
        runs.add_event(
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
            future = pool.submit(blocks_by(runner, partial(_goes_on, session)), planned)
            try:
                return self._watch(session, future)
            except BaseException:
                # The block under way would be waited for otherwise, however long it takes.
                session.cancel_safe(timeout=5)
                raise

    def _watch(self, session: Connection, future: Future[bool]) -> bool:
        """Whether the script has ended. A rollback does not wait for the block under way."""
        cancelled = False
        while not wait([future], timeout=LOOK_S).done:
            self.between_looks()
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


def _goes_on(session: Connection, planned: PlannedScript) -> bool:
    """Between two blocks: nobody has paused the run or this phase of it, or rolls it back."""
    if runs.read_run(session, planned.run_id).state is not RunState.RUNNING:
        return False
    held_back = restraints.in_force(session, planned.run_id)
    return restraints.pause_of(held_back, phase=planned.step.phase) is None
