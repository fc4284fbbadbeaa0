"""The stages of a table: what opens each barrier, and what happens then.

Every method reads the ledger and does at most one step; what it changes commits before the next
look. A coordinator that is killed anywhere here is followed by one that does the same step again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL

from producer.stages import chunker
from producer.stages.backfill_stages import Backfilling
from producer.stages.context import StageContext
from producer.stages.validation import Validating
from producer.stages.verification import Verifying
from replank.backoff import SHORT_LOCK
from replank.errors import NeedsOperator, WrongUse
from replank.values.chunk import Axis
from replank.values.states import JobKind, TableState
from replank.wording import counted
from sql.catalogue.foreign_code import refuse_foreign_code
from sql.catalogue.shapes import refuse_changed_shapes
from sql.health.lock_holders import blockers
from sql.ledger.jobs import job_queue, job_reports
from sql.ledger.jobs.job_reports import Unfinished
from sql.ledger.tables import tables
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.next_table import builder, index_selection, on_update_trigger
from sql.next_table.indexes import IndexSpec
from sql.rows import capture
from sql.session.connection import apply_settings
from sql.session.passing_errors import LOCK_OR_TIME_MISSED
from sql.session.server_message import server_words
from sql.session.statements import execute
from sql.session.table_names import next_table
from sql.swap.event_triggers import refuse_added_objects, refused_by

CUT_AHEAD_JOBS = 256


@dataclass(frozen=True, kw_only=True)
class Stages(StageContext):
    """Advances tables of one run."""

    present: Sequence[RunTable]
    """All of them."""
    sets: Sequence[ConversionSet]

    def advance(self, table: RunTable, unfinished: Unfinished | None) -> bool:
        """Do the table's next step if its barrier is open. True if anything was done."""
        if table.blocked or not table.due:
            return False
        if table.rewritten and table.state in (TableState.COPYING, TableState.VERIFYING):
            return self._restart(table, unfinished)
        if unfinished is not None and (unfinished.running or unfinished.failed):
            # Cut ahead of the workers, but what waits stays bounded.
            few = unfinished.running < CUT_AHEAD_JOBS
            if table.state is TableState.BACKFILLING:
                return few and self._backfilling().cut_more(table)
            return table.state is TableState.COPYING and few and self._cut_more(table)
        try:
            return self._steps()[table.state](table)
        except (NeedsOperator, WrongUse) as error:
            tables.block_table(self.connection, table.spec, str(error))
        except LOCK_OR_TIME_MISSED as error:
            self._postpone(table, f"waiting for a lock: {error.diag.message_primary}{self._held_by(table)}")
        except psycopg.Error as error:
            if self.connection.closed:
                raise
            refused = refused_by(self.connection, error)
            words = f"{table.spec.full_name} ({table.state}): {server_words(error)}{'.' if refused else ''}{refused}"
            tables.block_table(self.connection, table.spec, words)
        return True

    def _steps(self) -> Mapping[TableState, Callable[[RunTable], bool]]:
        verifying = Verifying(
            connection=self.connection,
            step=self.step,
            options=self.options,
            snapshots=self.snapshots,
            random_source=self.random_source,
        )
        return {
            TableState.PLANNED: self._begin,
            TableState.CAPTURED: self._start_copy,
            TableState.COPYING: self._after_copy,
            TableState.FIRST_DRAIN: self._start_indexes,
            TableState.INDEXING: self._after_indexes,
            TableState.CATCHING_UP: verifying.start,
            TableState.VERIFYING: verifying.judge,
            TableState.REPAIRING: self._after_repair,
            TableState.READY: lambda _: False,  # its conversion set continues, not the table
            TableState.SWAPPED: self._validating().start,
            TableState.VALIDATING: self._validating().finish,
            TableState.EXTENDED: self._backfilling().start_round,
            TableState.BACKFILLING: self._backfilling().after_round,
            TableState.CONSTRAINING: self._backfilling().finish,
            TableState.DONE: lambda _: False,
            TableState.SWAPPED_BACK: lambda _: False,  # a rollback's own
            TableState.RESTORED: lambda _: False,
        }

    def _backfilling(self) -> Backfilling:
        return Backfilling(
            connection=self.connection,
            step=self.step,
            options=self.options,
            snapshots=self.snapshots,
            random_source=self.random_source,
        )

    def _validating(self) -> Validating:
        return Validating(
            connection=self.connection,
            step=self.step,
            options=self.options,
            snapshots=self.snapshots,
            random_source=self.random_source,
            present=self.present,
            sets=self.sets,
        )

    def _begin(self, table: RunTable) -> bool:
        if not self.options.trusts_functions:
            refuse_foreign_code(self.connection, [table.spec])
        if table.spec.method == "backfill":
            return self._backfilling().extend(table)
        return self._capture(table)

    def _capture(self, table: RunTable) -> bool:
        """Next table, log and triggers commit together; a busy table is asked again, with jitter."""
        spec = table.spec
        with self.connection.transaction():
            apply_settings(self.connection, {"lock_timeout": f"{self.options.lock_timeout_ms}ms"}, local=True)
            execute(self.connection, builder.create_next(self.connection, spec))
            execute(self.connection, on_update_trigger.create_on_update(spec))
            execute(self.connection, capture.install(self.connection, spec))
            tables.add_change_log(self.connection, spec)
            # First: a column that the live table has got since would look like one that an event trigger has added.
            self._refuse_changed(table, built=False)
            refuse_added_objects(self.connection, spec, triggers=[on_update_trigger.function_name(spec)])
            tables.move_table(self.connection, spec, TableState.CAPTURED)
        return True

    def _refuse_changed(self, table: RunTable, *, built: bool = True) -> None:
        """In the transaction that makes something of the next table as the live one's definition is now.

        At the cutover both are compared, but a change that was undone by then would have stayed in the next table.
        Raises NeedsOperator where the definition is not the planned one: nothing of what was made stays.
        """
        refuse_changed_shapes(self.connection, [table.spec], built=built)

    def _held_by(self, table: RunTable) -> str:
        """Who has held the table while its lock was waited for."""
        oids = [relation.oid for relation in table.spec.relations]
        held = blockers(self.connection, oids, waited_s=self.options.lock_timeout_ms / 1_000)
        return f"; it is held by: {'; '.join(held)}" if held else ""

    def _postpone(self, table: RunTable, problem: str) -> None:
        delay = SHORT_LOCK.wait_s(table.attempts + 1, self.random_source)
        tried = tables.postpone_table(self.connection, table.spec, delay_s=delay, problem=problem)
        if tried >= self.options.capture_attempts:
            tables.block_table(
                self.connection,
                table.spec,
                f"{table.spec.full_name}: {problem}; attempted {counted(tried, 'time')}. End the transactions that "
                "hold the table, then `replank retry` and run again.",
            )

    def _start_copy(self, table: RunTable) -> bool:
        with self.connection.transaction():
            chunker.start_copy(self.connection, table, step=self.step, chunk_mb=self.options.chunk_mb)
            tables.move_table(self.connection, table.spec, TableState.COPYING)
        return True

    def _cut_more(self, table: RunTable) -> bool:
        """Cut some more of a table along its key."""
        if table.cutting_finished or table.axis is not Axis.PRIMARY_KEY:
            return False
        chunker.cut_more(self.connection, table, step=self.step, chunk_mb=self.options.chunk_mb)
        return True

    def _after_copy(self, table: RunTable) -> bool:
        if not table.cutting_finished:
            return self._cut_more(table)
        with self.connection.transaction():
            self.add_drain(table, compare=False, by_index=False)
            tables.move_table(self.connection, table.spec, TableState.FIRST_DRAIN)
        return True

    def _restart(self, table: RunTable, unfinished: Unfinished | None) -> bool:
        """The table's file was rewritten. Copying: empty the next table and cut again. Verifying: compare again."""
        job_queue.cancel(self.connection, table.spec)
        if unfinished is not None and unfinished.running:
            return True  # The leased ones end first; they find the new file and give up.
        with self.connection.transaction():
            if table.state is TableState.COPYING:
                only = SQL("" if table.spec.next_partitioned else "ONLY ")
                self.connection.execute(SQL("TRUNCATE {}{}").format(only, next_table(table.spec)))
                tables.restart_copy(self.connection, table.spec)
                tables.move_table(self.connection, table.spec, TableState.CAPTURED)
            else:
                self.snapshots.release(table.table_no)
                tables.restart_copy(self.connection, table.spec)
                self.add_drain(table, compare=True)
                tables.move_table(self.connection, table.spec, TableState.CATCHING_UP)
            self.add_event(
                table.run_id, "rewritten", table.spec.full_name, "its file was rewritten; its chunks are cut again"
            )
        return True

    def _start_indexes(self, table: RunTable) -> bool:
        # Some are built already where the operator has corrected rows that violated a unique index.
        done = job_reports.results(self.connection, table.spec, JobKind.INDEX, table.generation)
        built = {(job.detail["schema"], job.detail["name"]) for job in done}
        missing = [index for index in self._indexes(table) if (index.schema, index.name) not in built]
        with self.connection.transaction():
            job_queue.add_jobs(
                self.connection,
                table.spec,
                JobKind.INDEX,
                step=self.step,
                generation=table.generation,
                details=[asdict(index) for index in missing],
            )
            self._refuse_changed(table)
            tables.move_table(self.connection, table.spec, TableState.INDEXING)
        return True

    def _after_indexes(self, table: RunTable) -> bool:
        found = self._indexes(table)
        with self.connection.transaction():
            execute(self.connection, index_selection.stand_on_indexes(self.connection, table.spec, found))
            self._refuse_changed(table)
            self.add_drain(table, compare=False)
            tables.move_table(self.connection, table.spec, TableState.CATCHING_UP)
        return True

    def _indexes(self, table: RunTable) -> list[IndexSpec]:
        """What the next table's heaps shall have: the live ones' indexes and the plan's."""
        return index_selection.next_indexes(self.connection, table.spec)

    def _after_repair(self, table: RunTable) -> bool:
        results = job_reports.results(self.connection, table.spec, JobKind.REPAIR, table.generation)
        with self.connection.transaction():
            self.add_drain(table, compare=True)
            tables.move_table(self.connection, table.spec, TableState.CATCHING_UP)
            for job in results:
                self.add_event(table.run_id, "verification", table.spec.full_name, _describe_repair(job.document))
        return True


def _describe_repair(found: Mapping[str, Any]) -> str:
    """What a repair has found, in words."""
    count, examples = found["differing"], found["examples"]
    rows = f"{counted(count, 'row')} differed"
    if not examples:
        return rows
    more = ", …" if count > len(examples) else ""
    return f"{rows} and were repaired: {', '.join(examples)}{more}"
