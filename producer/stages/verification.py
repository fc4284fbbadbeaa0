"""Verification's barrier: cut both sides, compare the sums, send differences through the log."""

from __future__ import annotations

from psycopg.sql import SQL

from producer.stages import chunker
from producer.stages.context import StageContext
from replank.errors import NeedsOperator
from replank.values.states import JobKind, TableState
from replank.wording import counted
from sql.drain.verification_sums import VerificationSums, add_up
from sql.ledger.jobs import job_queue, job_reports
from sql.ledger.tables import tables, verifications
from sql.ledger.tables.tables import RunTable
from sql.rows.capture_continuity import CaptureFacts
from sql.rows.capture_repair import ensure_capture
from sql.rows.collisions import twins_of_odd
from sql.rows.copy import HeapExtent, extent_of, heap_extent
from sql.session.connection import value
from sql.session.table_names import next_table
from sql.values.conversion import ComparedBy

MOST_ROUNDS = 3
"""After so many repairs that did not help, the run needs the operator."""

LATER_S = 0.1

VERIFY_CHUNK_FACTOR = 2
"""Verifying a block takes a third of the time of copying it: larger chunks keep jobs as long."""

WHOLE_HEAP = HeapExtent(filenode=0, blocks=4_294_967_295, all_blocks=4_294_967_295)
"""More blocks than a PostgreSQL table can have: one range over everything."""


class Verifying(StageContext):
    """Starts a verification and judges it."""

    def start(self, table: RunTable) -> bool:
        """Cut both sides at one snapshot. A small table is one job that needs no shared snapshot.

        A table that is ready stays so: it is compared again beside its waiting for the cutover.
        """
        started_at = verifications.clock(self.connection)
        # Before the snapshot: whatever touches capture from here on is noticed, and what came before is compared.
        standing = self._restore_capture(table)
        extent = heap_extent(self.connection, table.spec)
        small = extent.all_blocks <= self._wanted(extent) and not table.in_chunks
        if not small and not self.snapshots.may_export():
            if table.state is not TableState.READY:
                tables.postpone_table(self.connection, table.spec, delay_s=LATER_S, problem="")
            return False
        snapshot = None if small else self.snapshots.export(table.table_no)
        generation = table.generation + 1
        with self.connection.transaction():
            tables.restart_copy(self.connection, table.spec)
            verifications.begin(
                self.connection, table.spec, generation=generation, capture_facts=standing, started_at=started_at
            )
            if snapshot is None:
                self._add(table, generation, "live", None, WHOLE_HEAP, None)
            else:
                # Measured after the snapshot was taken: no row that it sees lies beyond.
                live, built = heap_extent(self.connection, table.spec), self._next_extent(table)
                self._add(table, generation, "live", snapshot, live, live.filenode)
                self._add(table, generation, "next", snapshot, built, None)
            if table.state is not TableState.READY:
                self._add_vacuum(table, generation)
                tables.move_table(self.connection, table.spec, TableState.VERIFYING)
        return True

    def _restore_capture(self, table: RunTable) -> CaptureFacts:
        """A verification proves nothing of later writes, unless capture is intact."""
        limit = self.options.lock_timeout_ms
        standing, restored = ensure_capture(self.connection, table.spec, lock_timeout_ms=limit)
        if restored:
            words = "its capture triggers had been changed or disabled; they are restored, and every row is compared"
            self.add_event(table.run_id, "capture", table.spec.full_name, words)
        return standing

    def _add(
        self,
        table: RunTable,
        generation: int,
        side: str,
        snapshot: str | None,
        extent: HeapExtent,
        filenode: int | None,
    ) -> None:
        wanted = extent.blocks if snapshot is None else self._wanted(extent, in_chunks=table.in_chunks)
        cut = chunker.cut_of(extent, wanted, rows=table.rows_estimate)
        job_queue.add_heap_jobs(
            self.connection,
            table.spec,
            JobKind.VERIFY,
            step=self.step,
            generation=generation,
            heap_blocks=extent.blocks,
            chunk_blocks=cut.blocks,
            parts=cut.parts,
            places=cut.places,
            detail={"side": side, "snapshot": snapshot, "filenode": filenode, "compared_by": str(table.compared_by)},
        )

    def _add_vacuum(self, table: RunTable, generation: int) -> None:
        job_queue.add_jobs(
            self.connection, table.spec, JobKind.VACUUM, step=self.step, generation=generation, details=[{}]
        )

    def _wanted(self, extent: HeapExtent, *, in_chunks: bool = False) -> int:
        """Blocks per chunk, TOAST counted. What was too much in one piece is cut, however small it is."""
        wanted = VERIFY_CHUNK_FACTOR * chunker.chunk_blocks(extent.all_blocks, self.options.chunk_mb)
        return max(1, min(wanted, extent.all_blocks // chunker.CHUNKS_PER_TABLE)) if in_chunks else wanted

    def _next_extent(self, table: RunTable) -> HeapExtent:
        name = next_table(table.spec).as_string(self.connection)
        found = extent_of(self.connection, value(self.connection, SQL("SELECT {}::regclass::oid::bigint").format(name)))
        assert found is not None
        return found

    def judge(self, table: RunTable) -> bool:
        """All verify jobs are done: ready, or repair, or (the snapshot is gone) once more."""
        self.snapshots.release(table.table_no)
        sums = self.sums(table, table.generation)
        with self.connection.transaction():
            if sums.too_large:
                tables.verify_in_chunks(self.connection, table.spec)
            if sums.stale:
                self.add_drain(table, compare=True)
                tables.move_table(self.connection, table.spec, TableState.CATCHING_UP)
            elif sums.equal and (colliding := self._colliding_rows(table)):
                self.add_drain(table, compare=True)
                tables.move_table(self.connection, table.spec, TableState.CATCHING_UP)
                tables.block_table(self.connection, table.spec, colliding)
            elif sums.equal:
                self.add_drain(table, compare=True)
                verifications.passed(self.connection, table.spec, generation=table.generation, rows_live=sums.rows_live)
                tables.move_table(self.connection, table.spec, TableState.READY)
                tables.set_rows(self.connection, table.spec, sums.rows_live)
                self.add_event(
                    table.run_id,
                    "verification",
                    table.spec.full_name,
                    f"verified: {counted(sums.rows_live, 'row')}, counts and sums are equal{_count_quarantined(sums)}",
                )
            elif table.compared_by is ComparedBy.TEXTS:
                self._compare_values(table)
            else:
                self._repair(table, sums)
        return True

    def sums(self, table: RunTable, generation: int) -> VerificationSums:
        """What the verify jobs of a generation saw."""
        done = job_reports.results(self.connection, table.spec, JobKind.VERIFY, generation)
        return add_up([job.document for job in done])

    def proves(self, table: RunTable, generation: int) -> bool:
        """Whether every verify job of a generation is done, and they found both sides equal."""
        if verifications.unfinished(self.connection, table.spec, generation):
            return False
        sums = self.sums(table, generation)
        return sums.equal and not sums.stale

    def _colliding_rows(self, table: RunTable) -> str:
        """Rows that became the same uuid where no unique index of the next table finds them; what to do about it."""
        spec = table.spec
        if spec.key_stays_unique or not spec.key_converted or table.compared_by is not ComparedBy.VALUES:
            return ""
        found = twins_of_odd(self.connection, spec)
        if not found:
            return ""
        return (
            f"{spec.full_name}: rows with different texts become the same uuid: {'; '.join(found)}. Change or "
            "delete one row of each pair in the live table, then `replank retry` and run again."
        )

    def _compare_values(self, table: RunTable) -> None:
        """Odd spellings or a real difference: only the values can tell."""
        tables.compare_values(self.connection, table.spec)
        # No drain: a row that was never logged may stand in the way of one that was.
        tables.move_table(self.connection, table.spec, TableState.CATCHING_UP)
        self.add_event(
            table.run_id,
            "verification",
            table.spec.full_name,
            "some texts are not in PostgreSQL's canonical form of a uuid: verification compares values",
        )

    def _repair(self, table: RunTable, sums: VerificationSums) -> None:
        if tables.next_round(self.connection, table.spec) > MOST_ROUNDS:
            raise NeedsOperator(
                f"{table.spec.full_name}: live has {counted(sums.rows_live, 'row')}, next {sums.rows_next}, and they "
                f"differ after {MOST_ROUNDS} repairs. Nothing is swapped. See `replank failures`, or `replank "
                "rollback`."
            )
        self.add_event(
            table.run_id,
            "verification",
            table.spec.full_name,
            f"differences: live {counted(sums.rows_live, 'row')}, next {sums.rows_next}; repairing",
        )
        job_queue.add_jobs(
            self.connection,
            table.spec,
            JobKind.REPAIR,
            step=self.step,
            generation=table.generation,
            details=[{}],
        )
        tables.move_table(self.connection, table.spec, TableState.REPAIRING)


def _count_quarantined(sums: VerificationSums) -> str:
    if not sums.quarantined_rows:
        return ""
    return f"; {sums.rows_next} of them in the next table, {sums.quarantined_rows} in quarantine"
