"""Running a script: block by block, each outside of a transaction, again where a lock was missed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg
import structlog
from psycopg import errors

from replank.backoff import SHORT_LOCK
from replank.errors import NeedsOperator
from replank.wording import counted
from sql.health.lock_holders import WaitWatch
from sql.scripts.script_templates import Block, Script
from sql.session.connection import Connection
from sql.session.passing_errors import LOCK_MISSED
from sql.swap.event_triggers import refused_by

log = structlog.get_logger()


@dataclass(kw_only=True)
class ScriptRunner:
    """Runs scripts on one connection, in autocommit, as psql would."""

    connection: Connection
    attempts: int
    command: str = "replank retry` and `replank run PLAN"
    """What the operator calls when the cause is removed."""
    sleep: Callable[[float], None] = time.sleep
    random_source: random.Random = field(default_factory=random.Random)

    def run(
        self,
        script: Script,
        *,
        done: int = 0,
        note: Callable[[int], None] = lambda _: None,
        go_on: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Run the blocks from number `done` on; `note(n)` keeps that n are done. A block may run twice.

        False if `go_on` said no before the last block. Raises NeedsOperator with the block's purpose and the
        server's words.
        """
        self.connection.execute(f"SET lock_timeout = {script.lock_timeout_ms}")
        self.connection.execute("SET statement_timeout = 0")
        # What was ended in the middle of a build may have left half an index: the block before takes it away.
        first = done - 1 if 0 < done < len(script.blocks) else done
        for number, block in enumerate(script.blocks[first:], start=first + 1):
            if not self._run_block(script, number, block, go_on):
                return False
            note(number)
        return True

    def _run_block(self, script: Script, number: int, block: Block, go_on: Callable[[], bool]) -> bool:
        """False if `go_on` said no before it had run."""
        before = script.blocks[number - 2 : number - 1] if number > 1 else ()
        held_by = ""
        for attempt in range(1, self.attempts + 1):
            if not go_on():
                return False
            # A build that missed its lock has left half an index, too.
            blocks = (*(before if attempt > 1 else ()), block)
            try:
                if attempt < self.attempts:
                    self._execute(blocks)
                else:
                    with WaitWatch(self.connection) as watch:
                        try:
                            self._execute(blocks)
                        finally:
                            held_by = watch.words
            except LOCK_MISSED as error:
                reason = str(error.diag.message_primary)
                log.info("a lock was not granted", script=script.name, block=number, attempt=attempt, reason=reason)
                self.sleep(SHORT_LOCK.wait_s(attempt, self.random_source))
            except psycopg.Error as error:
                if self.connection.closed:
                    raise
                raise NeedsOperator(self._describe_error(script, number, block, error)) from None
            else:
                return True
        raise NeedsOperator(
            f"{script.name}, block {number} ({block.purpose}): the lock was not granted in "
            f"{counted(self.attempts, 'attempt')}"
            f"{f'; it is held by {held_by}' if held_by else ''}. End the transactions that hold the table, then "
            f"`{self.command}`."
        )

    def _execute(self, blocks: Sequence[Block]) -> None:
        for each in blocks:
            self.connection.execute(each.sql.encode())

    def _describe_error(self, script: Script, number: int, block: Block, error: psycopg.Error) -> str:
        if isinstance(error, errors.DependentObjectsStillExist):
            return (
                f"{script.name}, block {number} ({block.purpose}): other objects depend on it: "
                f"{error.diag.message_detail}. "
                f"Drop these, then `{self.command}` to continue."
            )
        detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
        return (
            f"{script.name}, block {number} ({block.purpose}): {error.diag.message_primary or error}{detail}."
            f"{refused_by(self.connection, error)} The blocks before it stay done. Correct the cause, then "
            f"`{self.command}`."
        )
