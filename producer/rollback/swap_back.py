"""Rollback after the cutover: the past tables become live again, with everything that was written since.

In steps that the ledger records: captured changes are drained into the past tables and compared, set by set the tables
are swapped back, foreign keys are validated, and only then the new tables are dropped. Killed anywhere, the same
command continues.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from producer.rollback.finalize import Restoring
from producer.rollback.prepare import Preparation, TablesDiffer, autovacuum_of_new, read_set, refused_row
from producer.stages.attempt_pause import pause_s
from producer.stages.pooler_reconnect import reconnect_poolers
from producer.waiting.lock_retries import LockRetries
from replank.activity import doing
from replank.errors import NeedsOperator, NotProved, OutcomeUnknown, TryAgain
from replank.values.states import RollbackStage, TableState
from replank.values.table_spec import TableSpec
from replank.wording import counted
from sql.ledger.runs import rollbacks
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.rollback.set_rollback import SetRollback
from sql.rollback.swap_back import swap_back
from sql.rows.capture_continuity import CaptureFacts
from sql.session.connection import Connection
from sql.session.passing_errors import OF_ROWS, PASSING
from sql.swap.lock_attempt import AttemptMissed
from sql.swap.lock_moment import Traffic
from sql.swap.swap_under_lock import CutoverLimits, CutoverTimes


@dataclass(frozen=True, kw_only=True)
class SwappingBack:
    """One rollback of swapped sets, on the connection of the one who leads."""

    connection: Connection
    run: Run
    say: Callable[[str], None]
    sleep: Callable[[float], None]
    random_source: random.Random
    actor: str = "operator"
    traffic: Mapping[int, Traffic] = field(default_factory=lambda: defaultdict(Traffic))

    @property
    def lock_retries(self) -> LockRetries:
        attempts = self.run.plan.options.capture_attempts
        return LockRetries(
            connection=self.connection, attempts=attempts, sleep=self.sleep, random_source=self.random_source
        )

    def swap_back_all(self) -> None:
        """All sets that are swapped, the last one first. Raises NeedsOperator; then nothing is lost on either side."""
        swapped = [s for s in conversion_sets.read_sets(self.connection, self.run.run_id) if s.swapped_at is not None]
        waiting = [s for s in reversed(swapped) if s.swapped_back_at is None]
        preparation = Preparation(
            connection=self.connection, run=self.run, lock_retries=self.lock_retries, say=self.say, actor=self.actor
        )
        capture_facts: dict[int, Mapping[int, CaptureFacts]] = {}
        differing: dict[str, Sequence[str]] = {}
        for one in waiting:
            try:
                capture_facts[one.set_no] = preparation.prepare(one)
            except TablesDiffer as error:
                # The operator learns of all tables that differ at once.
                differing |= error.tables
        if differing:
            raise TablesDiffer(differing)
        for one in waiting:
            self._set_stage(RollbackStage.SWAPPING_BACK, one)
            self._swap_back_set(one, preparation, capture_facts[one.set_no])
        reconnect_poolers(self.connection, self.run, actor=self.actor)
        restoring = Restoring(connection=self.connection, run=self.run, lock_retries=self.lock_retries)
        for one in reversed(swapped):
            self._set_stage(RollbackStage.VALIDATING, one)
            restoring.restore(one)

    def _set_stage(self, stage: RollbackStage, one: ConversionSet) -> None:
        doing(f"{stage.replace('_', ' ')} set {one.set_no}")
        rollbacks.set_stage(self.connection, self.run.run_id, stage, f"set {one.set_no}")

    def _swap_back_set(
        self, one: ConversionSet, preparation: Preparation, capture_facts: Mapping[int, CaptureFacts]
    ) -> None:
        """The set's tables are swapped back; tried again while another session holds the locks.

        Where capture has had a gap since the comparison of both tables began, they are compared again first.
        """
        options = self.run.plan.options
        missed: TryAgain | None
        for attempt in range(options.cutover_attempts):
            back = read_set(self.connection, self.run, one)
            try:
                times = self._attempt(one, back, capture_facts)
            except NotProved as error:
                problem = f"{error}: past and new tables are compared again"
                self._report(one, problem)
                capture_facts = preparation.prepare(one)
                continue
            except TryAgain as error:
                missed, problem = error, str(error)
            except PASSING as error:
                missed, problem = None, f"waiting for other sessions: {error.diag.message_primary}"
            else:
                self._report_swapped_back(one, back, times)
                return
            self._report(one, f"attempt {attempt + 1} missed: {problem}")
            if isinstance(missed, AttemptMissed):
                kept_ms = missed.application_wait_ms
                conversion_sets.set_swap_back_times(
                    self.connection, one, wait_ms=None, hold_ms=None, longest_wait_ms=kept_ms
                )
            self.sleep(pause_s(attempt, missed, self.random_source))
        raise NeedsOperator(
            f"Swapping back set {one.set_no} was attempted {counted(options.cutover_attempts, 'time')}; {problem}. "
            "Nothing was swapped back. Wait for these sessions to end, or terminate them, then `replank rollback` "
            "again to continue."
        )

    def _attempt(
        self, one: ConversionSet, back: SetRollback, capture_facts: Mapping[int, CaptureFacts]
    ) -> CutoverTimes:
        options = self.run.plan.options
        past = [_as_past(pair.spec) for pair in back.pairs]
        new = [pair.new for pair in back.pairs]
        autovacuum = autovacuum_of_new(self.connection, one, new, back.autovacuum_of_new)
        try:
            with autovacuum.off(stays_off=False, also=past):
                return swap_back(
                    self.connection,
                    back,
                    CutoverLimits.of(options),
                    traffic=self.traffic[one.set_no],
                    capture_facts=capture_facts,
                    write_ledger=lambda: self._write_ledger(one, len(back.pairs)),
                )
        except OF_ROWS as error:
            raise refused_row(self.connection, back, error) from None

    def _write_ledger(self, one: ConversionSet, members: int) -> None:
        """In the transaction of the swap back."""
        if not conversion_sets.set_swapped_back(self.connection, one):
            raise OutcomeUnknown("this set has been swapped back already; `replank rollback` again to continue")
        if conversion_sets.move_set(self.connection, one, TableState.SWAPPED_BACK) != members:
            raise OutcomeUnknown("not every table of this set was swapped; see `replank status`")

    def _report_swapped_back(self, one: ConversionSet, back: SetRollback, times: CutoverTimes) -> None:
        conversion_sets.set_swap_back_times(
            self.connection,
            one,
            wait_ms=times.wait_ms,
            hold_ms=times.hold_ms,
            longest_wait_ms=times.application_wait_ms,
        )
        sets = conversion_sets.read_sets(self.connection, self.run.run_id)
        longest_ms = next(each.swap_back_longest_wait_ms for each in sets if each.set_no == one.set_no)
        in_all = replace(times, application_wait_ms=longest_ms or times.application_wait_ms)
        self._report(one, f"{counted(len(back.pairs), 'past table', 'is')} live again; {in_all}")

    def _report(self, one: ConversionSet, words: str) -> None:
        subject = f"set {one.set_no}"
        add_event(self.connection, self.run.run_id, actor=self.actor, kind="rollback", subject=subject, message=words)
        self.say(f"{subject}: {words}")


def _as_past(spec: TableSpec) -> TableSpec:
    """The past table by the names it has until it is swapped back."""
    parts = tuple(replace(partition, schema=partition.past_schema) for partition in spec.partitions)
    return replace(spec, schema=spec.past_schema, partitions=parts)
