"""`finish`: the past tables and all that was kept for a rollback are dropped. Afterwards no rollback is possible."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from psycopg.sql import SQL

from monitoring.status.rollback_possible import describe_rollback, read_rollback_facts
from producer.rollback.prepare import AUTOVACUUM_OF_NEW, autovacuum_of_new
from producer.rollback.retained_proof import refuse_unproved
from producer.scripts.planned_scripts import blocks_by, late_scripts, run_to_end
from producer.scripts.run_script import ScriptRunner
from producer.waiting.leader import stop_leading, try_to_lead
from producer.waiting.lock_retries import LockRetries
from producer.waiting.panic_aware_sleep import panic_aware_sleep
from replank.activity import doing
from replank.errors import NeedsOperator, WrongUse
from replank.values.states import RunState
from replank.values.steps import BY_NAME, STEPS, Step
from replank.values.table_spec import Relation, TableSpec
from replank.wording import counted
from sql.catalogue import catalogue
from sql.ledger.runs import restraints, rollbacks, runs
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, conversion_sets, quarantines, tables
from sql.ledger.upgrades.ledger import ledger_exists
from sql.rollback.original_texts import original_texts_table
from sql.rollback.table_pair import as_new, was_table
from sql.rows.backfill import filled_table
from sql.rows.reverse_capture import remove_capture, reverse_capture_is_installed, waiting_changes
from sql.session.connection import Connection, apply_settings, value
from sql.session.named_queries import query
from sql.session.statements import execute
from sql.swap.drop_retained import drop_hanging, drop_table, read_retained
from sql.swap.moved_dependents import PAST, hanging_on
from sql.swap.views_beside import building_schemas, drop_empty_schemas
from sql.values.text_casts import remove_text_casts, text_casts

COMMAND = "replank finish"

DROP_DEPRECATED = BY_NAME["11-drop-deprecated"]

NAMED_ONE_BY_ONE = frozenset({"reverse_capture", "past_tables", "casts", "schemas"})
"""Kinds of step 11's blocks: what they drop is looked for."""

KEPT_BY_PSQL = "kept_by_psql"
"""The block is in every script of the step, for those who run it by psql: it is said where there was such a pass."""


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """One thing that `finish` drops. `bytes` is None where it has no size worth saying."""

    what: str
    name: str
    bytes: int | None

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "name": self.name, "bytes": self.bytes}


@dataclass(kw_only=True)
class Finishing:
    """One finish, on a connection of its own."""

    connection: Connection
    say: Callable[[str], None]
    sleep: Callable[[float], None]
    random_source: random.Random

    def run_to_finish(self) -> Run:
        """The newest run, done or finished halfway. Raises WrongUse where there is nothing to finish."""
        if not ledger_exists(self.connection):
            raise WrongUse("There is no run on this database: there is nothing to finish.")
        opened = runs.open_run(self.connection)
        if opened is not None and opened.state is RunState.ROLLING_BACK and try_to_lead(self.connection):
            # A rollback that was killed before anything was swapped back is given up; none is running now.
            rollbacks.give_up(self.connection, opened.run_id)
            stop_leading(self.connection)
            opened = runs.open_run(self.connection)
        if opened is not None:
            raise WrongUse(
                f"Run {opened.run_id} is {opened.state}: only a run that is done can be finished. See `replank status`."
            )
        done = runs.done_runs(self.connection)
        latest = done[0] if done else runs.latest_run(self.connection)
        if latest is None or latest.state not in (RunState.DONE, RunState.FINISHED):
            raise WrongUse("No run on this database is done: there is nothing to finish.")
        paused = restraints.pause_of(restraints.in_force(self.connection, latest.run_id), phase=STEPS[-1].phase)
        if paused is not None:
            raise NeedsOperator(f"Nothing is dropped: {paused.words}. `{paused.freed_by}`, then `{COMMAND}` again.")
        return latest

    def leftovers(self, run: Run) -> list[Leftover]:
        """What is there to be dropped."""
        found = [
            Leftover(what="past table", name=relation.full_name, bytes=self._bytes(relation))
            for relation in self._past_tables(run)
        ]
        for spec in self._specs(run):
            waiting = waiting_changes(self.connection, [spec])
            if reverse_capture_is_installed(self.connection, spec):
                words = f"of {spec.full_name}, with {counted(waiting, 'change')} in its log"
                found.append(Leftover(what="reverse capture", name=words, bytes=None))
        for name in text_casts(self.connection):
            found.append(Leftover(what="cast", name=f"from {name} to uuid", bytes=None))
        by_psql = value(self.connection, query("swap_back.kept_by_psql"))
        for late in late_scripts(self.connection, run.run_id):
            # A line for each: among them are views under old names, with which old clients end.
            for block in late.script.blocks[late.blocks_done :]:
                if block.kind in NAMED_ONE_BY_ONE or (block.kind == KEPT_BY_PSQL and not by_psql):
                    continue
                found.append(Leftover(what="step", name=f"{late.step.name}: {block.purpose}", bytes=None))
        return found

    def is_over(self, run: Run) -> bool:
        """Whether nothing is left to do: also nothing that `leftovers` has no line for."""
        left = self.leftovers(run) or late_scripts(self.connection, run.run_id)
        return run.state is RunState.FINISHED and not left

    def finish(self, run: Run, *, proof: bool = True) -> Run:
        """Drop it, table by table, each under a short lock. Killed anywhere, the same command continues.

        With `proof`, both sides are compared before. Raises NeedsOperator where they differ; nothing is given up then.
        """
        if not try_to_lead(self.connection):
            raise NeedsOperator(
                f"Another Replank command is running on this database. Wait for it to end, then `{COMMAND}` again."
            )
        if run.state is RunState.DONE:
            self._refuse_dependents(run)
            if proof:
                refuse_unproved(self.connection, run, self.say)
        runs.set_run_state(self.connection, run.run_id, RunState.FINISHED, "the operator ran `replank finish`")
        self.sleep = panic_aware_sleep(self.connection, run, self.sleep, command=COMMAND)
        lock_retries = LockRetries(
            connection=self.connection,
            attempts=run.plan.options.capture_attempts,
            sleep=self.sleep,
            random_source=self.random_source,
        )
        self._restore_autovacuum(run)
        doing("removing reverse capture")
        self._drop_reverse_captures(run, lock_retries)
        doing("dropping the past tables")
        self._drop_past_tables(run, lock_retries)
        self._drop_maps(run)
        remove_text_casts(self.connection)
        self._run_late_scripts(run)
        self._report_quarantined(run)
        made = building_schemas(self.connection, PAST, "replank_past_cache", "replank_next")
        drop_empty_schemas(self.connection, made)
        add_event(
            self.connection,
            run.run_id,
            actor="operator",
            kind="finish",
            message="the past tables are dropped; no rollback is possible any more",
        )
        return runs.read_run(self.connection, run.run_id)

    def _drop_reverse_captures(self, run: Run, lock_retries: LockRetries) -> None:
        for spec in self._specs(run):
            lock_retries.until_granted(
                partial(self._drop_reverse_capture, spec, run.plan.options.lock_timeout_ms),
                what=spec.full_name,
                command=COMMAND,
            )

    def _drop_past_tables(self, run: Run, lock_retries: LockRetries) -> None:
        """By the script of step 11 where the plan has one, then whatever is left, with all that hangs on it first."""
        limit = run.plan.options.lock_timeout_ms
        retained_names = [relation.full_name for relation in self._past_tables(run)]
        self._run_late_scripts(run, DROP_DEPRECATED)
        past = self._past_tables(run)
        for name in (name for name in retained_names if name not in {relation.full_name for relation in past}):
            self.say(f"{name}: dropped")
        if past:
            lock_retries.until_granted(
                lambda: drop_hanging(self.connection, past, prefix=PAST, lock_timeout_ms=limit),
                what="a past table",
                command=COMMAND,
            )
        for relation in past:
            lock_retries.until_granted(
                partial(drop_table, self.connection, relation, lock_timeout_ms=limit),
                what=relation.full_name,
                command=COMMAND,
            )
            self.say(f"{relation.full_name}: dropped")

    def _refuse_dependents(self, run: Run) -> None:
        """Objects that depend on past tables would stop the drops, when a rollback is not possible any more."""
        past = self._past_tables(run)
        parts = [part for relation in past for part in catalogue.partitions(self.connection, relation.oid)]
        hanging = hanging_on(self.connection, [*past, *parts])
        dependents = [f"view {view.full_name}" for view in hanging.views if not view.schema.startswith(PAST)]
        dependents += [f"function {f.signature}" for f in hanging.functions if not f.schema.startswith(PAST)]
        if dependents:
            raise NeedsOperator(
                f"{', '.join(dependents)} depends on past tables, so that these cannot be dropped. Drop it, then "
                f"`{COMMAND}` again. Nothing was changed: {self.rollback_words(run)}."
            )

    def rollback_words(self, run: Run) -> str:
        """Whether a rollback is still possible, in words."""
        sets = conversion_sets.read_sets(self.connection, run.run_id)
        return describe_rollback(
            run, read_rollback_facts(self.connection, run, sets, tables.read_tables(self.connection, run.run_id))
        )

    def _run_late_scripts(self, run: Run, last: Step = STEPS[-1]) -> None:
        """The steps of the last phase up to `last`. One that fails is tried again by the same command."""
        late = late_scripts(self.connection, run.run_id)
        runner = ScriptRunner(
            connection=self.connection,
            attempts=run.plan.options.capture_attempts,
            sleep=self.sleep,
            random_source=self.random_source,
            command=COMMAND,
        )
        for planned in (planned for planned in late if planned.step.number <= last.number):
            doing(f"running step {planned.step.name}")
            run_to_end(self.connection, planned, blocks_by(runner))
            self.say(f"step {planned.step.name} is done")

    def _report_quarantined(self, run: Run) -> None:
        """Rows in quarantine are nowhere else now, so they stay."""
        for table_no, rows in quarantines.quarantined_rows(self.connection, run.run_id).items():
            if rows:
                spec = next(spec for spec in self._specs(run) if spec.table_no == table_no)
                self.say(
                    f"{spec.full_name}: {counted(rows, 'row', 'stays')} in quarantine in "
                    f"replank.{spec.quarantine_name}, and "
                    "nowhere else"
                )

    def _restore_autovacuum(self, run: Run) -> None:
        """A rollback that was killed in its attempt at the swap has left it switched off."""
        found = tables.read_tables(self.connection, run.run_id)
        for one in conversion_sets.read_sets(self.connection, run.run_id):
            before = (one.rollback_facts or {}).get(AUTOVACUUM_OF_NEW)
            if before is not None:
                new = [as_new(self.connection, table.spec) for table in found if table.set_no == one.set_no]
                autovacuum_of_new(self.connection, one, new, before).give_back()

    def _specs(self, run: Run) -> list[TableSpec]:
        return [table.spec for table in tables.read_tables(self.connection, run.run_id)]

    def _past_tables(self, run: Run) -> list[Relation]:
        """Past tables, and the past contents of caches, that are there."""
        specs = [spec for spec in self._specs(run) if spec.method == "rebuild"]
        names = [(spec.past_schema, spec.name) for spec in specs]
        built = [cache.built for cache in caches.read_caches(self.connection, run.run_id)]
        names += [(spec.past_schema, spec.name) for spec in built if spec is not None]
        return read_retained(self.connection, names)

    def _bytes(self, relation: Relation) -> int:
        return int(value(self.connection, query("swap_back.size"), {"oid": relation.oid}))

    def _drop_reverse_capture(self, spec: TableSpec, lock_timeout_ms: int) -> None:
        """Dropping the triggers locks the live table for a moment."""
        with self.connection.transaction():
            apply_settings(self.connection, {"lock_timeout": f"{lock_timeout_ms}ms"}, local=True)
            execute(self.connection, remove_capture(spec))
            for name in (was_table(spec), filled_table(spec)):
                self.connection.execute(SQL("DROP TABLE IF EXISTS {}").format(name))

    def _drop_maps(self, run: Run) -> None:
        for one in conversion_sets.read_sets(self.connection, run.run_id):
            name = original_texts_table(run.run_id, one.set_no)
            self.connection.execute(SQL("DROP TABLE IF EXISTS {}").format(name))


def total_bytes(found: Sequence[Leftover]) -> int:
    return sum(each.bytes or 0 for each in found)
