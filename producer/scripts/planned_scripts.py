"""The scripts of a run, forward and back, taken to their end: the ledger says how far each has come.

Finish, rollback and the coordinator all come through here. They differ in who runs the blocks: in their own session, or
watched from it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from producer.prisma.schema.schema_file import take_back, write_change
from producer.scripts.run_script import ScriptRunner
from replank.values.steps import DATA_PHASE
from sql.ledger.runs import scripts
from sql.ledger.runs.scripts import PlannedScript
from sql.session.connection import Connection


def next_script(connection: Connection, run_id: int) -> PlannedScript | None:
    """The first script of the phases before the data migration that has not ended."""
    early = (s for s in scripts.forward_scripts(connection, run_id) if s.step.phase < DATA_PHASE)
    return next((script for script in early if not script.finished), None)


def late_scripts(connection: Connection, run_id: int) -> list[PlannedScript]:
    """What is left of the last phase, which `finish` runs."""
    return [s for s in scripts.forward_scripts(connection, run_id) if s.step.phase > DATA_PHASE and not s.finished]


def run_to_end(
    connection: Connection,
    planned: PlannedScript,
    run_blocks: Callable[[PlannedScript], bool],
    *,
    at_end: Callable[[str], None] = lambda _: None,
) -> str | None:
    """Take a script to its end, in the ledger too. Returns what there is to say of it, None if it was stopped before.

    `run_blocks` runs those that are left and notes each; False says that it was told to stop. `at_end` commits with the
    ledger's word. Raises NeedsOperator. Killed halfway, the same call continues.
    """
    forward, change = planned.direction == "forward", planned.script.change
    if forward:
        scripts.start(connection, planned)
    words = ""
    if change is not None:
        words = write_change(change) if forward else take_back(change)
    elif not run_blocks(planned):
        return None
    with connection.transaction():
        if forward:
            scripts.note(connection, planned, len(planned.script.blocks))
            scripts.finish(connection, planned)
        else:
            scripts.forget(connection, planned)
        at_end(words)
    return words


def blocks_by(
    runner: ScriptRunner, go_on: Callable[[PlannedScript], bool] = lambda _: True
) -> Callable[[PlannedScript], bool]:
    """For `run_to_end`: a runner runs the blocks in its own session, as long as `go_on` says yes."""

    def run_blocks(planned: PlannedScript) -> bool:
        return runner.run(
            planned.script,
            done=planned.blocks_done,
            note=partial(scripts.note, runner.connection, planned),
            go_on=lambda: go_on(planned),
        )

    return run_blocks
