"""Tables that are ready stay verified until they are swapped: gaps in capture are found, and rows compared again.

A verification counts from its beginning as long as capture is intact. While a cutover waits for the operator or
for its window, tables are verified again, one at a time: writes that bypass the triggers are found before the swap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

import psycopg

from producer.stages.context import StageContext
from producer.stages.verification import Verifying
from replank.errors import NeedsOperator, NotProved
from replank.values.states import JobKind, TableState
from sql.catalogue.shapes import refuse_changed_shapes
from sql.ledger.jobs import job_queue, job_reports
from sql.ledger.tables import tables, verifications
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.ledger.tables.verifications import Verification
from sql.rows.capture_continuity import (
    CaptureFacts,
    captured_table,
    read_capture_facts,
    refuse_broken_capture,
    why_capture_broke,
)
from sql.session.connection import apply_settings
from sql.session.passing_errors import LOCK_OR_TIME_MISSED

NEVER = "the ledger says that it is ready, but no verification of it is done"

FOUND = "a verification found differences while the cutover was waiting"

NOT_NOW: tuple[type[Exception], ...] = (NeedsOperator, *LOCK_OR_TIME_MISSED)
"""The definition cannot be read, or has changed."""


@dataclass(frozen=True, kw_only=True)
class KeepingProof(StageContext):
    """One turn's check of what is verified."""

    run_id: int

    @cached_property
    def _known(self) -> dict[int, Verification]:
        return verifications.read(self.connection, self.run_id)

    @cached_property
    def _verifying(self) -> Verifying:
        return Verifying(
            connection=self.connection,
            step=self.step,
            options=self.options,
            snapshots=self.snapshots,
            random_source=self.random_source,
        )

    def check(self, present: Sequence[RunTable], unpaused: Sequence[RunTable]) -> tuple[list[RunTable], bool]:
        """All tables as they are after it: those whose proof counts no more are not ready. And whether any moved.

        `unpaused` are those that are not paused.
        """
        ready = [table for table in unpaused if table.state is TableState.READY and not table.blocked]
        if not ready:
            return list(present), False
        now = read_capture_facts(self.connection, [captured_table(table.spec) for table in ready])
        left: dict[int, bool] = {}
        for table in ready:
            moved = self._check(table, now[table.table_no])
            if moved is not None:
                left[table.table_no] = moved
        after = [replace(t, state=TableState.CATCHING_UP) if t.table_no in left else t for t in present]
        return after, any(left.values())

    def _check(self, table: RunTable, now: CaptureFacts) -> bool | None:
        """None where the table stays ready; else whether it has moved already, or still waits for jobs to end."""
        if not any(line.startswith(f"columns {table.spec.oid} ") for line in now):
            return None  # It was dropped, which the cutover refuses by name.
        proof = self._known.get(table.table_no)
        if proof is None:
            words = (
                f"{table.spec.full_name}: {NEVER}. Was the ledger edited by hand? This table is not swapped. "
                "`replank rollback` and run again."
            )
            tables.block_table(self.connection, table.spec, words)
            return True
        why = proof.doubt or ("" if proof.passed else proof.because or NEVER)
        why = why or why_capture_broke(proof.passed_capture_facts, now)
        if why:
            return self._compare_again(table, why) if self._is_as_planned(table) else None
        return self._judge(table, proof) if proof.under_way else None

    def _is_as_planned(self, table: RunTable) -> bool:
        """What has another definition now cannot be compared; the cutover refuses it, and says what was changed.

        What another session has locked is checked by a later turn.
        """
        try:
            with self.connection.transaction():
                apply_settings(self.connection, {"lock_timeout": f"{self.options.lock_timeout_ms}ms"}, local=True)
                refuse_changed_shapes(self.connection, [table.spec])
        except NOT_NOW:
            return False
        return True

    def _compare_again(self, table: RunTable, why: str) -> bool:
        """Nothing of its log is drained before: a row that capture missed may collide with one that it has seen."""
        job_queue.cancel(self.connection, table.spec)
        self.snapshots.release(table.table_no)
        # Again in this turn: its jobs have just been cancelled.
        unfinished = job_reports.unfinished(self.connection, self.run_id).get(table.table_no)
        if unfinished is not None and unfinished.running:
            return False
        with self.connection.transaction():
            verifications.void(self.connection, table.spec, why)
            tables.move_table(self.connection, table.spec, TableState.CATCHING_UP)
            words = f"{why}: every row is verified again before the cutover, and rows that differ are repaired"
            self.add_event(self.run_id, "capture", table.spec.full_name, words)
        return True

    def _judge(self, table: RunTable, proof: Verification) -> bool | None:
        """A verification beside the waiting; as `_check`."""
        if table.rewritten:
            self._give_up(table, proof)
            return None
        if verifications.unfinished(self.connection, table.spec, proof.generation):
            return None
        self.snapshots.release(table.table_no)
        sums = self._verifying.sums(table, proof.generation)
        if sums.stale:
            self._give_up(table, proof)
        elif sums.equal:
            with self.connection.transaction():
                verifications.passed(self.connection, table.spec, generation=proof.generation, rows_live=sums.rows_live)
                tables.set_rows(self.connection, table.spec, sums.rows_live)
        else:
            with self.connection.transaction():
                verifications.void(self.connection, table.spec, FOUND)
                tables.move_table(self.connection, table.spec, TableState.VERIFYING)
                self._verifying.judge(replace(table, state=TableState.VERIFYING, generation=proof.generation))
            return True
        self._known[table.table_no] = replace(proof, generation=proof.passed_generation or proof.generation)
        return None

    def _give_up(self, table: RunTable, proof: Verification) -> None:
        self.snapshots.release(table.table_no)
        with self.connection.transaction():
            verifications.give_up(self.connection, table.spec, proof.generation)

    def is_only_compared(self, table: RunTable) -> bool:
        """Whether its jobs are those of a verification beside the waiting: they keep no drain back."""
        return self._is_under_way(table) and not job_reports.is_waiting(self.connection, table.spec, JobKind.DRAIN)

    def _is_under_way(self, table: RunTable) -> bool:
        proof = self._known.get(table.table_no)
        return proof is not None and proof.passed and proof.under_way

    def verify_again(self, members: Sequence[RunTable], present: Sequence[RunTable]) -> None:
        """Compare the member that was compared longest ago, if that is long enough, and no other table is compared."""
        if any(self._is_under_way(table) for table in present):
            return
        pause = timedelta(minutes=self.options.verify_again_minutes)
        due = [
            (proof.started_at, table.table_no, table)
            for table in members
            if (proof := self._known.get(table.table_no)) is not None and proof.passed and proof.is_older_than(pause)
        ]
        table = next((table for _, _, table in sorted(due, key=lambda d: d[:2]) if self._is_as_planned(table)), None)
        if table is None:
            return
        try:
            if self._verifying.start(table):
                proof = self._known[table.table_no]
                self._known[table.table_no] = replace(proof, generation=table.generation + 1)
        except LOCK_OR_TIME_MISSED:
            return  # The next turn tries again.
        except (NeedsOperator, psycopg.Error) as error:
            if self.connection.closed:
                raise
            tables.block_table(self.connection, table.spec, f"{table.spec.full_name}: {error}")

    def stop_verifying(self, members: Sequence[RunTable]) -> bool:
        """The cutover may come: nothing of a verification beside it begins any more. False where none was under way."""
        under_way = [table for table in members if self._is_under_way(table)]
        for table in under_way:
            self._give_up(table, self._known[table.table_no])
        return bool(under_way)

    def proofs(self, members: Sequence[RunTable]) -> dict[int, Verification]:
        """By table number. Raises NotProved where the jobs of a proof are not done, or do not prove it."""
        for table in members:
            proof = self._known[table.table_no]
            if proof.passed_generation is None or not self._verifying.proves(table, proof.passed_generation):
                verifications.void(self.connection, table.spec, NEVER)
                raise NotProved(f"{table.spec.full_name}: {NEVER}")
        return {table.table_no: self._known[table.table_no] for table in members}

    def refuse_unproved(
        self, conversion_set: ConversionSet, members: Sequence[RunTable], proofs: Mapping[int, Verification]
    ) -> None:
        """Raises NotProved where a proof does not count any more. Two queries for all, under the lock too."""
        standing = {number: proof.passed_capture_facts for number, proof in proofs.items()}
        refuse_broken_capture(self.connection, [table.spec for table in members], standing)
        generations = {number: proof.passed_generation or 0 for number, proof in proofs.items()}
        if not verifications.still_proved(self.connection, self.run_id, conversion_set.set_no, generations):
            raise NotProved("a comparison has found differences since the verification")
