"""Rollback: every trace of the run goes. Before a set's cutover its live tables were never changed; after it, the past
tables come back with everything that was written since (`producer.going_back`)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import psycopg
from psycopg import sql

from producer.cache_resolution import plan_caches
from producer.going_back import GoingBack
from producer.leader import try_to_lead
from producer.panicked import watchful
from producer.removing import remove_cache, remove_table
from producer.steps.turns import DATA_PHASE, undo_scripts
from replank.errors import CannotConnect, NeedsPerson, NotAnswering, OutcomeUnknown, TryAgain, WrongUse
from replank.states import CacheState, RunState, TableState
from replank.steps import BY_NAME, Step
from sql.autovacuum import restore_autovacuum
from sql.beside import building_schemas, drop_beside, drop_empty_schemas
from sql.connection import Connection, value
from sql.event_triggers import refusal
from sql.inheritance import unlink_next
from sql.ledger import caches, job_looks, restraints, runs, scripts, tables
from sql.ledger.runs import Run
from sql.text_casts import remove_text_casts

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
) -> Run:
    """Undo the open run, or else the newest one if it is done. Killed halfway, the same command goes on.

    `run_id` names an older run, `to` a step that stays, with all before it. Raises WrongUse if there is nothing to
    undo, or if what was written after a cutover was not captured; NeedsPerson where only a person can go on.
    """
    random_source = random_source or random.Random()
    run = _aim(connection, _the_run(connection, run_id), to)
    if run.state is not RunState.DONE:
        with connection.transaction():
            # A cutover that is under way holds the run's row: either it sees this, or we see its swap.
            began = "an operator rolls back"
            if runs.set_run_state(connection, run.run_id, RunState.ROLLING_BACK, began):
                runs.add_event(connection, run.run_id, actor="operator", kind="rollback", message=began)
            _refuse_without_capture(connection, run)
            # A pause was for the way forward; one that comes from now on stops this.
            restraints.lift_all(connection, run.run_id)
    sleep = watchful(connection, run, sleep, command="replank rollback")
    _wait_for_leadership(connection, sleep)
    _end_jobs(connection, run, say, sleep)
    going_back = GoingBack(connection=connection, run=run, say=say, sleep=sleep, random_source=random_source)
    going_back.go_back()
    runs.set_run_state(connection, run.run_id, RunState.ROLLING_BACK, "an operator rolls back")
    present = [t for t in tables.read_tables(connection, run.run_id) if t.state is not TableState.RESTORED]
    for conversion_set in tables.read_sets(connection, run.run_id):
        members = [t.spec for t in present if t.set_no == conversion_set.set_no]
        if conversion_set.autovacuum_before is not None and conversion_set.swapped_at is None:
            restore_autovacuum(connection, members, conversion_set.autovacuum_before)
    with connection.transaction():
        drop_beside(connection, [relation for table in present for relation in table.spec.next_relations])
        unlink_next(connection, [table.spec for table in present])
    for table in present:
        remove_table(connection, run, table, going_back.patience)
        say(f"{table.spec.full_name}: next table, change log and capture removed")
    for cache in caches.read_caches(connection, run.run_id):
        remove_cache(connection, run, cache, going_back.patience)
        if cache.state in (CacheState.SWAPPED, CacheState.DONE):
            say(f"cache {cache.name}: rebuilt already, and stays so; it holds what its query gave")
        else:
            say(f"cache {cache.name}: what was built for it is removed")
    # Attempts at a cutover make the past schemas; before a swap they are empty.
    made = building_schemas(connection, "replank_next", "replank_past", "replank_past_cache", "replank_undone")
    drop_empty_schemas(connection, made)
    remove_text_casts(connection)
    _end(connection, run, say)
    return run


def _end(connection: Connection, run: Run, say: Callable[[str], None]) -> None:
    """The scripts, and the run's own end: it is gone, or may go forward again from the step it went back to."""
    last = BY_NAME[run.back_to] if run.back_to else None
    undo_scripts(connection, run, to=last.number if last else 0, say=say)
    if last is not None:
        with connection.transaction():
            runs.forget_data(connection, run.run_id)
            plan_caches(connection, run.run_id, run.plan)
            runs.set_run_state(connection, run.run_id, RunState.RUNNING)
            runs.set_back_to(connection, run.run_id, None)
        say(_where(connection, run, last))
        return
    with connection.transaction():
        # Together: killed in between, nobody would come back for the ledger.
        runs.set_run_state(connection, run.run_id, RunState.ROLLED_BACK, "an operator rolled back")
        alone = value(connection, sql.SQL("SELECT count(*) FROM replank.run")) == 1
        if alone:
            runs.drop_ledger(connection)
    if alone:
        say("the ledger is removed; nothing of Replank is left in this database")


def _where(connection: Connection, run: Run, last: Step) -> str:
    """Where the run stands now: it need not have come as far as the step that was asked for."""
    done = [one.step for one in scripts.forward_scripts(connection, run.run_id) if one.finished]
    present = max(done, key=lambda step: step.number, default=None)
    on = "`replank run PLAN` goes forward again"
    if present == last:
        return f"back at step {last.name}; {on}"
    words = f"step {present.name} is the last that is done" if present is not None else "no step is done"
    return f"nothing behind step {last.name} is left; {words}; {on}"


def _aim(connection: Connection, run: Run, to: Step | None) -> Run:
    """Note how far to go back, so that the same command goes on after a kill. Raises WrongUse where nothing is left."""
    if to is None:
        if run.state is not RunState.ROLLING_BACK:
            runs.set_back_to(connection, run.run_id, None)
        return runs.read_run(connection, run.run_id)
    if to.phase >= DATA_PHASE:
        raise WrongUse(
            f"After step {to.name} there is nothing that a rollback could take back: the steps of phase {DATA_PHASE} "
            "go back together. Name a step of an earlier phase, or none."
        )
    runs.set_back_to(connection, run.run_id, to.name)
    return runs.read_run(connection, run.run_id)


def roll_back_through(
    open_connection: Callable[[], Connection],
    *,
    say: Callable[[str], None],
    run_id: int | None = None,
    to: Step | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Run:
    """`roll_back`, and once more where the connection was lost: the ledger knows how far it came.

    Raises TryAgain when the server has not come back for `PATIENCE_S`.
    """
    lost_since: float | None = None
    begun: Run | None = None
    while True:
        try:
            with open_connection() as connection:
                if begun is not None and _is_rolled_back(connection, begun):
                    return begun
                if begun is not None and runs.read_run(connection, begun.run_id).paused:
                    raise NeedsPerson(
                        "The rollback was stopped by `replank panic`; `replank rollback` goes on with it."
                    )
                begun = _the_run(connection, run_id)
                lost_since = None
                return _in_words(connection, lambda: roll_back(connection, say=say, sleep=sleep, run_id=run_id, to=to))
        except (psycopg.OperationalError, OutcomeUnknown, CannotConnect) as error:
            if isinstance(error, CannotConnect) and begun is None and not isinstance(error, NotAnswering):
                raise
            now = time.monotonic()
            lost_since = lost_since or now
            if now - lost_since > PATIENCE_S:
                raise TryAgain(
                    f"The database has not come back for {PATIENCE_S:.0f} s ({error}). Nothing is lost: "
                    "`replank rollback` goes on when it answers."
                ) from None
            say("the connection was lost; going on from what the ledger says")
            sleep(1.0)


def _in_words(connection: Connection, go_back: Callable[[], Run]) -> Run:
    """A statement that the server refuses, perhaps by an event trigger, is told with what to do next."""
    try:
        return go_back()
    except psycopg.OperationalError:
        raise
    except psycopg.DatabaseError as error:
        if connection.closed:
            raise
        raise refusal(connection, error, command="replank rollback") from error


def _is_rolled_back(connection: Connection, run: Run) -> bool:
    """Also where the ledger went with its last run."""
    if not runs.ledger_exists(connection):
        return True
    return runs.read_run(connection, run.run_id).state is RunState.ROLLED_BACK


def _the_run(connection: Connection, run_id: int | None) -> Run:
    run = runs.open_run(connection)
    if run is None:
        run = _done_run(connection, run_id)
    elif run_id not in (None, run.run_id):
        raise WrongUse(f"Run {run.run_id} is open on this database: it comes first.")
    _refuse_without_capture(connection, run)
    return run


def _done_run(connection: Connection, run_id: int | None) -> Run:
    """The newest run if it is done, or the one that was named."""
    if not runs.ledger_exists(connection):
        raise WrongUse("No run is open on this database: there is nothing to roll back.")
    run = runs.latest_run(connection) if run_id is None else runs.read_run(connection, run_id)
    if run is not None and run.state is RunState.DONE and not run.plan.wanted_tables:
        raise WrongUse(f"Run {run.run_id} is done and rebuilt caches alone: these stay as they are.")
    if run is not None and run.state is RunState.DONE:
        return run
    if run is not None and run.state is RunState.FINISHED:
        raise WrongUse(
            f"Run {run.run_id} is finished: its past tables were dropped by `replank finish`, so there is no way back."
        )
    older = [str(r.run_id) for r in runs.done_runs(connection)]
    hint = f" `replank rollback --run {older[0]}` would undo an older run." if older else ""
    raise WrongUse(f"No run is open on this database: there is nothing to roll back.{hint}")


def _refuse_without_capture(connection: Connection, run: Run) -> None:
    swapped = [s.set_no for s in tables.read_sets(connection, run.run_id) if s.swapped_at is not None]
    filled = [t for t in tables.read_tables(connection, run.run_id) if t.spec.method == "backfill"]
    if run.state is RunState.DONE and filled and not run.plan.options.reverse_capture:
        raise WrongUse(
            f"Run {run.run_id} is done, and the plan says `reverse_capture = false`: what was filled in place was not "
            "remembered, so it cannot be taken out again."
        )
    if swapped and not run.plan.options.reverse_capture:
        raise WrongUse(
            f"Conversion set {', '.join(map(str, swapped))} of run {run.run_id} is swapped, and the plan says "
            "`reverse_capture = false`: what was written since is not known for the past tables, so there is no way "
            "back without loss. They are kept in schema replank_past."
        )


def _wait_for_leadership(connection: Connection, sleep: Callable[[float], None]) -> None:
    """A running coordinator sees the run's state and ends; then nobody starts anything new."""
    deadline = time.monotonic() + LEADER_WAIT_S
    while not try_to_lead(connection):
        if time.monotonic() > deadline:
            raise NeedsPerson(
                "A coordinator still leads this database. Stop it, then `replank rollback` again: it goes on."
            )
        sleep(0.2)


def _end_jobs(connection: Connection, run: Run, say: Callable[[str], None], sleep: Callable[[float], None]) -> None:
    """Let leased jobs end; after a while end our own sessions. Nobody else's is touched."""
    deadline = time.monotonic() + WORKERS_WAIT_S
    while working := job_looks.working_backends(connection, run.run_id):
        if time.monotonic() > deadline:
            say(f"ending {len(working)} of Replank's own sessions that still work")
            for pid in working:
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])
            deadline = time.monotonic() + WORKERS_WAIT_S
        sleep(0.1)
