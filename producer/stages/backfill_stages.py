"""The stages of a table that is filled in place: extend it, fill it round by round, validate its constraints."""

from __future__ import annotations

from dataclasses import asdict

from psycopg.sql import SQL

from producer.stages.chunker import LARGEST_CHUNK_BLOCKS, rows_per_chunk
from producer.stages.context import StageContext
from replank.errors import NeedsOperator
from replank.values.chunk import Axis
from replank.values.states import JobKind, TableState
from replank.values.table_spec import TableSpec
from replank.wording import counted
from sql.ledger.jobs import job_queue, job_reports
from sql.ledger.runs.catalogue_before import read_catalogue_before
from sql.ledger.tables import tables
from sql.ledger.tables.tables import RunTable
from sql.next_table.indexes import planned_indexes
from sql.next_table.on_update_trigger import create_on_update, drop_on_update
from sql.rows import backfill, fill_continuity
from sql.rows.backfill_constraints import added_check, check_name, final_constraints, loosened, taken_out
from sql.rows.copy import chunks_between, heap_extent, next_bounds
from sql.rows.fill import reset_filled_columns
from sql.session.connection import Connection, apply_settings, row, value
from sql.session.named_queries import query
from sql.session.statements import execute

FIRST_KEYS = 1_000
FEWEST_KEYS = 100
MOST_KEYS = 50_000
"""Keys per chunk: the first chunks, and between what the pace may take it."""

WANTED_S = 1.0
"""How long one UPDATE shall last: no row is locked for longer, and a lost one costs no more."""

CUTS_PER_TURN = 8
"""Few, so that what is cut follows the pace."""

MOST_ROUNDS = 10
DEAD_SHARE = 0.2
DEAD_ROWS = 10_000
"""A VACUUM is added when so many rows are dead."""


class Backfilling(StageContext):
    """Advances one table. What each step changes commits with its word in the ledger."""

    def extend(self, table: RunTable) -> bool:
        """Columns, defaults and triggers under one short lock; a busy table is asked again, with jitter."""
        with self.connection.transaction():
            apply_settings(self.connection, {"lock_timeout": f"{self.options.lock_timeout_ms}ms"}, local=True)
            rewriting = backfill.rewriting_columns(self.connection, table.spec)
            execute(self.connection, backfill.extend(table.spec, rewriting))
            execute(self.connection, create_on_update(table.spec, live=True))
            tables.move_table(self.connection, table.spec, TableState.EXTENDED)
        return True

    def start_round(self, table: RunTable) -> bool:
        """A new generation of chunks; nothing to fill needs none."""
        with self.connection.transaction():
            fallen = fill_continuity.why_fill_broke(self.connection, table.spec)
            if fallen:
                # Before the first row is read: new rows are filled at once from now on.
                apply_settings(self.connection, {"lock_timeout": f"{self.options.lock_timeout_ms}ms"}, local=True)
                fill_continuity.recreate_fill_triggers(self.connection, table.spec)
                self.add_event(
                    table.run_id, "backfill", table.spec.full_name, f"{fallen}; the trigger was created again"
                )
            if not backfill.filled_columns(table.spec):
                tables.move_table(self.connection, table.spec, TableState.BACKFILLING)
                tables.set_cut(self.connection, table.spec, cut_to=None, finished=True)
                return True
            tables.set_heap_extent(self.connection, table.spec, heap_extent(self.connection, table.spec))
            tables.restart_copy(self.connection, table.spec)
            tables.move_table(self.connection, table.spec, TableState.BACKFILLING)
        return True

    def cut_more(self, table: RunTable) -> bool:
        """Cut some more chunks along the key, as long as the pace says; vacuum what has piled up."""
        if table.cutting_finished:
            return False
        pace = job_reports.pace(self.connection, table.spec, JobKind.BACKFILL)
        most = rows_per_chunk(table, LARGEST_CHUNK_BLOCKS)
        keys = next_keys(seconds=pace.seconds, keys=pace.keys, most=most)
        quiet = is_quiet(self.connection, table.spec)
        with self.connection.transaction():
            bounds = next_bounds(
                self.connection, table.spec, after=table.cut_to, rows_per_chunk=keys, count=CUTS_PER_TURN
            )
            finished = len(bounds) < CUTS_PER_TURN
            job_queue.add_jobs(
                self.connection,
                table.spec,
                JobKind.BACKFILL,
                step=self.step,
                generation=table.generation,
                chunks=chunks_between(Axis.PRIMARY_KEY, table.cut_to, bounds, last=finished),
                chunk_detail={"quiet": quiet, "keys": keys},
            )
            tables.set_cut(
                self.connection, table.spec, cut_to=bounds[-1] if bounds else table.cut_to, finished=finished
            )
        self._vacuum_if_needed(table)
        return True

    def _vacuum_if_needed(self, table: RunTable) -> None:
        found = row(self.connection, query("backfilling.dead_rows"), {"oids": [h.oid for h in table.spec.heaps]})
        if found is None or found["dead"] < max(DEAD_ROWS, DEAD_SHARE * found["live"]):
            return
        if not job_reports.is_waiting(self.connection, table.spec, JobKind.VACUUM):
            job_queue.add_jobs(
                self.connection,
                table.spec,
                JobKind.VACUUM,
                step=self.step,
                generation=table.generation,
                details=[{}],
            )

    def after_round(self, table: RunTable) -> bool:
        """All chunks of a round are done: another one, until one has found nothing."""
        if not table.cutting_finished:
            return self.cut_more(table)
        done = job_reports.results(self.connection, table.spec, JobKind.BACKFILL, table.generation)
        filled = sum(job.rows for job in done)
        fallen = fill_continuity.why_fill_broke(self.connection, table.spec)
        if filled == 0 and not fallen:
            return self._start_constraints(table)
        self._start_another_round(table, f"the last round filled {counted(filled, 'row')}" if filled else fallen)
        return True

    def _start_another_round(self, table: RunTable, why: str) -> None:
        """Another round over all rows."""
        if tables.next_round(self.connection, table.spec) > MOST_ROUNDS:
            raise NeedsOperator(
                f"{table.spec.full_name}: after {MOST_ROUNDS} rounds of backfill, columns may still be NULL ({why}). "
                "Find what sets these columns to NULL or disables the trigger. Then `replank retry` and run again."
            )
        self.add_event(table.run_id, "backfill", table.spec.full_name, f"{why}; another round begins")
        tables.move_table(self.connection, table.spec, TableState.EXTENDED)

    def _start_constraints(self, table: RunTable) -> bool:
        """Unique indexes are built and NOT NULL is proved while the application writes."""
        spec = table.spec
        with self.connection.transaction():
            apply_settings(self.connection, {"lock_timeout": f"{self.options.lock_timeout_ms}ms"}, local=True)
            proved = [column for column in spec.columns if column.not_null]
            for column in proved:
                there = {"oid": spec.oid, "name": check_name(spec, column)}
                if not value(self.connection, query("backfilling.constraint_of"), there):
                    execute(self.connection, [added_check(spec, column)])
            job_queue.add_jobs(
                self.connection,
                spec,
                JobKind.VALIDATE,
                step=self.step,
                generation=table.generation,
                details=[{"schema": spec.schema, "table": spec.name, "name": check_name(spec, c)} for c in proved],
            )
            job_queue.add_jobs(
                self.connection,
                spec,
                JobKind.INDEX,
                step=self.step,
                generation=table.generation,
                details=[asdict(index) for index in planned_indexes(self.connection, spec)],
            )
            tables.move_table(self.connection, spec, TableState.CONSTRAINING)
        return True

    def finish(self, table: RunTable) -> bool:
        """Everything is proved: constraints take their final form, the trigger goes.

        The trigger is checked under the lock: a row that came in while it was disabled may stay empty.
        """
        spec = table.spec
        with self.connection.transaction():
            apply_settings(self.connection, {"lock_timeout": f"{self.options.lock_timeout_ms}ms"}, local=True)
            fill_continuity.lock_out_writers(self.connection, spec)
            fallen = fill_continuity.why_fill_broke(self.connection, spec)
            if fallen:
                self._start_another_round(table, fallen)
                return True
            execute(self.connection, final_constraints(self.connection, spec))
            execute(self.connection, [backfill.drop_trigger(spec)])
            if not self.options.reverse_capture:
                # Otherwise what was put into columns that were there stays remembered until `replank finish`.
                execute(self.connection, [backfill.forget_filled(spec)])
            tables.move_table(self.connection, spec, TableState.DONE)
        return True


def is_quiet(connection: Connection, spec: TableSpec) -> bool:
    """Whether the application's triggers are kept out. Those of a foreign key must see its new values."""
    return backfill.may_be_quiet(connection) and not backfill.keyed_columns(connection, spec)


def undo(connection: Connection, table: RunTable, *, lock_timeout_ms: int) -> None:
    """What the run has put into the live table is taken out again, also after its end, until `replank finish`.

    In steps of their own, so that no lock is held while rows are changed; each may be done twice.
    """
    spec = table.spec
    if table.state is TableState.PLANNED:
        return
    nullable = nullable_before(connection, spec)
    short = {"lock_timeout": f"{lock_timeout_ms}ms"}
    with connection.transaction():
        apply_settings(connection, short, local=True)
        execute(connection, [backfill.drop_trigger(spec), *drop_on_update(spec, live=True)])
        execute(connection, loosened(spec, nullable))
    with connection.transaction():
        reset_filled_columns(connection, spec, quiet=is_quiet(connection, spec))
    with connection.transaction():
        apply_settings(connection, short, local=True)
        execute(connection, taken_out(spec))
        execute(connection, [backfill.drop_trigger(spec), backfill.forget_filled(spec)])


def nullable_before(connection: Connection, spec: TableSpec) -> set[str]:
    """The columns of the live table that could be NULL when the run began."""
    return {
        found.name
        for found in read_catalogue_before(connection, spec.run_id)
        if found.what == "column"
        and found.relation == quoted_name(connection, spec)
        and "not null" not in found.definition.split("; ")
    }


def quoted_name(connection: Connection, spec: TableSpec) -> str:
    """As the catalogue's snapshot calls it: `format('%I.%I')`."""
    return str(value(connection, SQL("SELECT format('%I.%I', {}::text, {}::text)").format(spec.schema, spec.name)))


def next_keys(*, seconds: float | None, keys: float | None, most: int = MOST_KEYS) -> int:
    """Keys per chunk after such a pace: towards the wanted seconds, at most doubled at once, never more than `most`."""
    if not seconds or not keys:
        return min(FIRST_KEYS, most)
    factor = min(max(WANTED_S / seconds, 0.25), 2.0)
    return int(min(max(keys * factor, FEWEST_KEYS), MOST_KEYS, most))
