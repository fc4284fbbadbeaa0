"""Rollback: every trace of the run goes. Before a set's cutover its live tables were never changed; after it, the past
tables come back with everything that was written since (`producer.rollback.swap_back`)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import psycopg

from producer.operator.operator import Operator, operator_of_shell
from producer.rollback.choice import refuse_without_capture, run_to_undo
from producer.rollback.end import end_rollback
from producer.rollback.remove import remove_cache, remove_table
from producer.rollback.swap_back import SwappingBack
from producer.waiting.leader import try_to_lead
from producer.waiting.lock_retries import LockRetries
from producer.waiting.panic_aware_sleep import panic_aware_sleep
from replank.activity import doing
from replank.errors import CannotConnect, NeedsOperator, NotAnswering, OutcomeUnknown, ReplankError, TryAgain, WrongUse
from replank.values.states import CacheState, RollbackStage, RunState, TableState
from replank.values.steps import DATA_PHASE, Step
from replank.wording import counted
from sql.catalogue.inheritance import unlink_next
from sql.ledger.jobs import leased
from sql.ledger.runs import restraints, rollbacks, runs, stopping
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, conversion_sets, tables
from sql.ledger.tables.tables import RunTable
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection
from sql.session.database_wait import DatabaseWait
from sql.session.statements import execute
from sql.swap.autovacuum import LiveAutovacuum
from sql.swap.event_triggers import refusal
from sql.swap.views_beside import building_schemas, drop_empty_schemas, drop_views_beside
from sql.values.text_casts import remove_text_casts

LEADER_WAIT_S = 30.0
WORKERS_WAIT_S = 5.0
PATIENCE_S = 60.0


def roll_back(
    connection: Connection,
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    random_source: random.Random | None = None,
    run_id: int | None = None,
    to: Step | None = None,
    by: Operator | None = None,
    keep_record: bool = False,
) -> Run:
    """Undo the open run, or else the newest one if it is done. Killed halfway, the same command continues.

    `run_id` names an older run, `to` a step that stays, with all before it. `keep_record` leaves in the ledger how it
    ended, and who did it; without it the ledger goes with its last run. Raises WrongUse if there is nothing to
    undo, or if what was written after a cutover was not captured; NeedsOperator where only the operator can continue.
    """
    by = by or operator_of_shell()
    run = _set_last_step(connection, run_to_undo(connection, run_id), to)
    if run.state is RunState.DONE:
        # It has no coordinator, unless another command has begun with it.
        _wait_for_leadership(connection, sleep)
    _begin(connection, run, by)
    undoing = _Undoing(
        connection=connection,
        run=run,
        say=say,
        sleep=panic_aware_sleep(connection, run, sleep, command="replank rollback"),
        random_source=random_source or random.Random(),
        by=by,
    )
    try:
        if run.state is not RunState.DONE:
            _wait_for_leadership(connection, undoing.sleep)
        undoing.undo()
    except ReplankError as error:
        _record_refusal(connection, run, str(error))
        raise
    end_rollback(connection, run, say, by=by, keep_record=keep_record)
    return run


def _begin(connection: Connection, run: Run, by: Operator) -> None:
    """From here on every session sees that the run is being rolled back, and by whom."""
    with connection.transaction():
        # A cutover that is under way holds the run's row: either it sees this, or we see its swap.
        fresh = rollbacks.begin(connection, run.run_id, by=by.name, via=by.via)
        present = runs.read_run(connection, run.run_id)
        if present.state is not RunState.ROLLING_BACK:
            raise WrongUse(f"Run {run.run_id} is {present.state} now: another command has changed its state.")
        words = "the rollback begins" if fresh else "the rollback continues"
        add_event(connection, run.run_id, actor=by.name, kind="rollback", message=words)
        if run.state is not RunState.DONE:
            refuse_without_capture(connection, run)
        # A pause was for the way forward; one that comes from now on stops this.
        restraints.lift_all(connection, run.run_id)


def _record_refusal(connection: Connection, run: Run, problem: str) -> None:
    """Where the session still lives. A run that was done, and of which nothing has changed, is done again."""
    with suppress(psycopg.OperationalError):
        rollbacks.set_problem(connection, run.run_id, problem)
        rollbacks.give_up(connection, run.run_id)


@dataclass(frozen=True, kw_only=True)
class _Undoing:
    """The data's part of one rollback, on the connection of the one who leads."""

    connection: Connection
    run: Run
    say: Callable[[str], None]
    sleep: Callable[[float], None]
    random_source: random.Random
    by: Operator

    def undo(self) -> None:
        """Past tables come back, then everything that was built goes. Each part may be done twice."""
        connection, run = self.connection, self.run
        _end_jobs(connection, run, self.say, self.sleep)
        swap_back = SwappingBack(
            connection=connection,
            run=run,
            say=self.say,
            sleep=self.sleep,
            random_source=self.random_source,
            actor=self.by.name,
        )
        swap_back.swap_back_all()
        present = [t for t in tables.read_tables(connection, run.run_id) if t.state is not TableState.RESTORED]
        self._remove_tables(present, swap_back.lock_retries)
        self._remove_caches(swap_back.lock_retries)
        # Attempts at a cutover make the past schemas; before a swap they are empty.
        made = building_schemas(connection, "replank_next", "replank_past", "replank_past_cache", "replank_rolled_back")
        drop_empty_schemas(connection, made)
        remove_text_casts(connection)

    def _remove_tables(self, present: Sequence[RunTable], lock_retries: LockRetries) -> None:
        connection, run_id = self.connection, self.run.run_id
        rollbacks.set_stage(connection, run_id, RollbackStage.REMOVING)
        for conversion_set in conversion_sets.read_sets(connection, run_id):
            members = [t.spec for t in present if t.set_no == conversion_set.set_no]
            if conversion_set.swapped_at is None:
                LiveAutovacuum(
                    connection=connection,
                    specs=members,
                    remembered=conversion_set.autovacuum_before,
                    remember=partial(conversion_sets.set_autovacuum_before, connection, conversion_set),
                ).give_back()
        with connection.transaction():
            relations = [relation for table in present for relation in table.spec.next_relations]
            execute(connection, drop_views_beside(connection, relations))
            unlink_next(connection, [table.spec for table in present])
        for table in present:
            doing(f"removing what was built for {table.spec.full_name}")
            rollbacks.set_stage(connection, run_id, RollbackStage.REMOVING, table.spec.full_name)
            remove_table(connection, self.run, table, lock_retries)
            self.say(f"{table.spec.full_name}: next table, change log and capture removed")

    def _remove_caches(self, lock_retries: LockRetries) -> None:
        for cache in caches.read_caches(self.connection, self.run.run_id):
            remove_cache(self.connection, self.run, cache, lock_retries)
            if cache.state in (CacheState.SWAPPED, CacheState.DONE):
                self.say(f"cache {cache.name}: rebuilt already, and not rolled back")
            else:
                self.say(f"cache {cache.name}: what was built for it is removed")


def _set_last_step(connection: Connection, run: Run, to: Step | None) -> Run:
    """Record the last step to keep, so that the same command continues after a kill. Raises WrongUse."""
    if to is None:
        if run.state is not RunState.ROLLING_BACK:
            runs.set_rollback_to(connection, run.run_id, None)
        return runs.read_run(connection, run.run_id)
    if to.phase >= DATA_PHASE:
        raise WrongUse(
            f"A rollback cannot stop after step {to.name}: the steps of phase {DATA_PHASE} "
            "are rolled back together. Name a step of an earlier phase, or none."
        )
    runs.set_rollback_to(connection, run.run_id, to.name)
    return runs.read_run(connection, run.run_id)


def roll_back_through(
    open_connection: Callable[[], Connection],
    *,
    say: Callable[[str], None],
    run_id: int | None = None,
    to: Step | None = None,
    by: Operator | None = None,
    keep_record: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Run:
    """`roll_back`, and once more where the connection was lost: the ledger knows how far it came.

    Raises TryAgain when the server has not come back for `PATIENCE_S`.
    """
    begun: Run | None = None

    def may_pass(error: Exception) -> bool:
        if isinstance(error, CannotConnect) and begun is None:
            return isinstance(error, NotAnswering)
        return isinstance(error, (psycopg.OperationalError, OutcomeUnknown, CannotConnect))

    wait = DatabaseWait(
        limit_s=PATIENCE_S,
        say=lambda *_: say("connection to the database lost; the rollback continues from the ledger"),
        may_pass=may_pass,
        at_limit=lambda error: TryAgain(
            f"The database has not accepted a connection for {PATIENCE_S:.0f} s ({error}). The ledger has what was "
            "done: run `replank rollback` again when the database is up."
        ),
        pause=sleep,
    )

    def continue_rollback() -> Run:
        nonlocal begun
        with open_connection() as connection:
            if begun is not None and _is_rolled_back(connection, begun):
                return begun
            if begun is not None and runs.read_run(connection, begun.run_id).paused:
                raise NeedsOperator(
                    "The rollback was stopped by `replank panic`. Run `replank rollback` again to continue it."
                )
            begun = run_to_undo(connection, run_id)
            wait.answered()
            return _explain_refusal(
                connection,
                lambda: roll_back(
                    connection, say=say, sleep=sleep, run_id=run_id, to=to, by=by, keep_record=keep_record
                ),
            )

    return wait.until_answered(continue_rollback)


def _explain_refusal(connection: Connection, roll_back_run: Callable[[], Run]) -> Run:
    """A statement that the server refuses, perhaps by an event trigger, is reported with the next command."""
    try:
        return roll_back_run()
    except psycopg.OperationalError:
        raise
    except psycopg.DatabaseError as error:
        if connection.closed:
            raise
        raise refusal(connection, error, command="replank rollback") from error


def _is_rolled_back(connection: Connection, run: Run) -> bool:
    """Also where the ledger went with its last run."""
    if not ledger_exists(connection):
        return True
    return runs.read_run(connection, run.run_id).state is RunState.ROLLED_BACK


def _wait_for_leadership(connection: Connection, sleep: Callable[[float], None]) -> None:
    """A running coordinator sees the run's state and ends; then nothing new is started."""
    doing("waiting for the coordinator to end")
    deadline = time.monotonic() + LEADER_WAIT_S
    while not try_to_lead(connection):
        if time.monotonic() > deadline:
            raise NeedsOperator(
                "A coordinator is still running on this database. Stop it, then `replank rollback` again to continue."
            )
        sleep(0.2)


def _end_jobs(connection: Connection, run: Run, say: Callable[[str], None], sleep: Callable[[float], None]) -> None:
    """Let leased jobs end; after a while end Replank's own sessions, and no others."""
    doing("waiting for jobs to end")
    deadline = time.monotonic() + WORKERS_WAIT_S
    while working := leased.working_backends(connection, run.run_id):
        if time.monotonic() > deadline:
            say(f"ending {counted(len(working), 'session')} of Replank in which a job is still running")
            stopping.end_workers(connection, run.run_id)
            deadline = time.monotonic() + WORKERS_WAIT_S
        sleep(0.1)
