"""The coordinator's part in scripts: which one is next, and running it without losing sight of the run."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import structlog

from producer.prisma.schema.schema_file import take_back, write_change
from producer.scripts.run_script import ScriptRunner
from replank.errors import NeedsPerson
from replank.values.states import RunState
from replank.values.steps import DATA_PHASE
from sql.ledger.runs import restraints, runs, scripts
from sql.ledger.runs.runs import Run
from sql.ledger.runs.scripts import PlannedScript
from sql.session.connection import Connection, connect

log = structlog.get_logger()

LOOK_S = 0.5


def next_script(connection: Connection, run_id: int) -> PlannedScript | None:
    """The first script of the phases before the data migration that has not ended."""
    early = (s for s in scripts.forward_scripts(connection, run_id) if s.step.phase < DATA_PHASE)
    return next((script for script in early if not script.finished), None)


def late_scripts(connection: Connection, run_id: int) -> list[PlannedScript]:
    """What is left of the last phase, which `finish` runs."""
    return [s for s in scripts.forward_scripts(connection, run_id) if s.step.phase > DATA_PHASE and not s.finished]


def run_script(connection: Connection, runner: ScriptRunner, planned: PlannedScript) -> None:
    """Run a script to its end, in the ledger too. Raises NeedsPerson."""
    scripts.start(connection, planned)
    runner.run(planned.script, done=planned.blocks_done, note=lambda done: scripts.note(connection, planned, done))
    scripts.finish(connection, planned)


@dataclass(frozen=True, kw_only=True)
class ScriptTurn:
    """Runs one script in a session of its own, while the coordinator looks at the run now and then."""

    connection: Connection
    database_url: str
    run: Run
    random_source: random.Random
    between_looks: Callable[[], None]

    def take(self, planned: PlannedScript) -> None:
        """Run the script to its end, or until the run is paused or rolled back. Raises NeedsPerson."""
        log.info("step", step=planned.step.name, blocks=len(planned.script.blocks), done=planned.blocks_done)
        scripts.start(self.connection, planned)
        if planned.script.change is not None:
            self._end(planned, write_change(planned.script.change))
            return
        with connect(self.database_url, name="step") as session, ThreadPoolExecutor(1) as pool:
            future = pool.submit(self._run, session, planned)
            try:
                ended = self._watch(session, future)
            except BaseException:
                # The block under way would be waited for otherwise, however long it takes.
                session.cancel_safe(timeout=5)
                raise
        if ended:
            self._end(planned, "")

    def _end(self, planned: PlannedScript, words: str) -> None:
        with self.connection.transaction():
            scripts.note(self.connection, planned, len(planned.script.blocks))
            scripts.finish(self.connection, planned)
            runs.add_event(
                self.connection,
                planned.run_id,
                actor="coordinator",
                kind="step",
                subject=planned.step.name,
                message=words,
            )

    def _run(self, session: Connection, planned: PlannedScript) -> bool:
        runner = ScriptRunner(
            connection=session, attempts=self.run.plan.options.capture_attempts, random_source=self.random_source
        )
        return runner.run(
            planned.script,
            done=planned.blocks_done,
            note=lambda done: scripts.note(session, planned, done),
            go_on=lambda: _goes_on(session, planned),
        )

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
        except NeedsPerson:
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


def undo_scripts(connection: Connection, run: Run, *, to: int, say: Callable[[str], None]) -> None:
    """Run the rollbacks of every step after number `to` that has begun, the last one first.

    Killed halfway, the same call goes on.
    """
    for planned in (p for p in scripts.back_scripts(connection, run.run_id) if p.step.number > to):
        if planned.script.change is not None:
            say(f"step {planned.step.name}: {take_back(planned.script.change)}")
            scripts.forget(connection, planned)
            continue
        runner = ScriptRunner(
            connection=connection, attempts=run.plan.options.capture_attempts, command="replank rollback"
        )
        runner.run(planned.script, done=planned.blocks_done, note=lambda n, p=planned: scripts.note(connection, p, n))  # type: ignore[misc]
        scripts.forget(connection, planned)
        say(f"step {planned.step.name}: taken back")
