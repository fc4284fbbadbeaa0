"""An attempt to swap a conversion set, its record in the ledger, and what happens when it is missed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import psycopg
import structlog
from psycopg.sql import SQL

from producer.stages.attempt_pause import pause_s
from producer.stages.context import StageContext
from producer.stages.keeping_proof import KeepingProof
from producer.stages.swap_failures import named_failures
from replank.errors import NeedsOperator, NotProved, OutcomeUnknown, TryAgain
from replank.values.states import SwapWait, TableState
from replank.values.table_spec import TableSpec
from replank.wording import counted, longest_wait
from sql.catalogue.catalogue import still_there
from sql.catalogue.foreign_code import refuse_foreign_code
from sql.catalogue.shapes import refuse_changed_shapes
from sql.ledger.tables import conversion_sets, quarantines
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.rows.capture_continuity import read_capture_facts, reverse_captured_table
from sql.rows.change_log import log_table
from sql.rows.reverse_capture import published
from sql.session.connection import Connection, value
from sql.session.passing_errors import OF_ROWS, PASSING
from sql.session.statements import execute
from sql.swap.autovacuum import LiveAutovacuum
from sql.swap.cutover import cut_over
from sql.swap.lock_attempt import AttemptMissed
from sql.swap.lock_moment import Traffic
from sql.swap.old_sessions import older_sessions
from sql.swap.swap_under_lock import CutoverLimits, CutoverTimes
from sql.values.text_casts import create_text_casts

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Swapping(StageContext):
    """Attempts swaps, and writes down what a set waits for."""

    keeping: KeepingProof
    has_closed: Callable[[], bool] = lambda: False
    """Whether the window has closed since it was asked for."""
    traffic: Mapping[str, Traffic] = field(default_factory=lambda: defaultdict(Traffic))
    """By set: what has been seen of the transactions that are in the way."""

    def wait(
        self,
        conversion_set: ConversionSet,
        members: Sequence[RunTable],
        waits_for: SwapWait,
        *,
        subject: str,
        reason: str,
    ) -> None:
        """Said once. It may take days, so autovacuum comes back if an attempt has switched it off."""
        said = (conversion_set.waits_for, conversion_set.waits_subject) == (waits_for, subject)
        if said or conversion_set.swapped_at is not None or conversion_set.blocked:
            return
        try:
            self._autovacuum(conversion_set, members).give_back()
        except PASSING:
            return  # The next turn tries again.
        conversion_sets.hold_set(self.connection, conversion_set, waits_for, subject=subject, problem=reason)
        self._report(conversion_set, f"the cutover is waiting: {reason}")

    def attempt(self, conversion_set: ConversionSet, members: Sequence[RunTable]) -> None:
        try:
            times = self._swap(conversion_set, members)
        except NotProved as error:
            # No attempt was missed: the next turn has the table compared again.
            proved = ", ".join(f"{member.table_no}:{member.generation}" for member in members)
            words = f"{error}: it is verified again first"
            self.wait(self._reread(conversion_set), members, SwapWait.PROOF, subject=proved, reason=words)
        except TryAgain as error:
            self._postpone(conversion_set, members, str(error), error)
        except PASSING as error:
            if self.connection.closed:
                raise
            # Before the lock was asked for, e.g. a drain that met another session's TRUNCATE.
            self._postpone(conversion_set, members, f"waiting for other sessions: {error.diag.message_primary}")
        except NeedsOperator as error:
            self._give_up(conversion_set, members, str(error))
        except psycopg.Error as error:
            if self.connection.closed:
                raise
            if not self._find_rows(conversion_set, members, error):
                specs = [member.spec for member in members]
                words = named_failures(self.connection, specs, conversion_set.foreign_keys, error)
                self._give_up(conversion_set, members, words)
        else:
            conversion_sets.set_lock_times(
                self.connection,
                conversion_set,
                wait_ms=times.wait_ms,
                hold_ms=times.hold_ms,
                longest_wait_ms=times.application_wait_ms,
                chance=times.chance,
            )
            # The longest of all attempts, as `status` and the report say it.
            longest_ms = self._reread(conversion_set).longest_wait_ms or times.application_wait_ms
            in_all = replace(times, application_wait_ms=longest_ms)
            self._report(conversion_set, f"swapped {counted(len(members), 'table')}; {in_all}")
            self._report_quarantined(members)
            self._report_old_sessions(conversion_set)

    def _find_rows(self, conversion_set: ConversionSet, members: Sequence[RunTable], error: psycopg.Error) -> bool:
        """A row of some log does not come through: drain jobs find out which, and name all of them.

        False where that was tried before, or no log has rows: then it is something else.
        """
        # Another value is another error: the server's words tell one from the other.
        subject = f"{error.sqlstate}: {error.diag.message_primary}"
        tried = (conversion_set.waits_for, conversion_set.waits_subject) == (SwapWait.ROWS, subject)
        if tried or not isinstance(error, OF_ROWS):
            return False
        logs = [(m, SQL("SELECT EXISTS (SELECT FROM {})").format(log_table(m.spec))) for m in members]
        some = [member for member, exists in logs if value(self.connection, exists)]
        for member in some:
            self.add_drain(member, compare=True)
        if some:
            problem = f"rows of a change log cannot be applied: {error.diag.message_primary}"
            self._postpone(conversion_set, members, problem, waits_for=SwapWait.ROWS, subject=subject)
        return bool(some)

    def _report_quarantined(self, members: Sequence[RunTable]) -> None:
        """How many rows did not come along, table by table."""
        if not any(member.spec.quarantines for member in members):
            return
        rows = quarantines.quarantined_rows(self.connection, members[0].run_id)
        for member in (member for member in members if rows.get(member.table_no)):
            words = f"{counted(rows[member.table_no], 'row')} quarantined in replank.{member.spec.quarantine_name}"
            self.add_event(member.run_id, "quarantine", member.spec.full_name, words)

    def _swap(self, conversion_set: ConversionSet, members: Sequence[RunTable]) -> CutoverTimes:
        specs = [member.spec for member in members]
        _refuse_gone(self.connection, specs)
        if not self.options.trusts_functions:
            refuse_foreign_code(self.connection, specs)
        refuse_changed_shapes(self.connection, specs)
        proofs = self.keeping.proofs(members)
        self.keeping.refuse_unproved(conversion_set, members, proofs)
        with self._autovacuum(conversion_set, members).off(stays_off=True) as before:
            if self.options.reverse_capture:
                known = {"published": published(self.connection, specs)}
                conversion_sets.set_rollback_facts(self.connection, conversion_set, known)
            return cut_over(
                self.connection,
                specs,
                conversion_set.foreign_keys,
                CutoverLimits.of(self.options),
                autovacuum_before=before,
                traffic=self.traffic[f"set {conversion_set.set_no}"],
                still_proved=lambda: self.keeping.refuse_unproved(conversion_set, members, proofs),
                write_ledger=lambda drained: self._write_ledger(conversion_set, members, drained),
                reverse_capture=self.options.reverse_capture,
            )

    def _autovacuum(self, conversion_set: ConversionSet, members: Sequence[RunTable]) -> LiveAutovacuum:
        return LiveAutovacuum(
            connection=self.connection,
            specs=[member.spec for member in members],
            remembered=conversion_set.autovacuum_before,
            remember=partial(conversion_sets.set_autovacuum_before, self.connection, conversion_set),
        )

    def _write_ledger(self, conversion_set: ConversionSet, members: Sequence[RunTable], drained: int) -> None:
        """In the cutover's own transaction: its word, and the casts that old clients need from then on."""
        if self.has_closed():
            raise TryAgain("the cutover window closed during the attempt")
        if not conversion_sets.set_swapped(self.connection, conversion_set, rows_drained=drained):
            raise OutcomeUnknown("this set has been swapped already, or the run is paused or being rolled back")
        if conversion_sets.move_set(self.connection, conversion_set, TableState.SWAPPED) != len(members):
            raise OutcomeUnknown("not every table of this set was ready; see `replank status`")
        if self.options.reverse_capture:
            # From here on a rollback can tell whether every change was captured.
            capture_facts = read_capture_facts(
                self.connection, [reverse_captured_table(member.spec) for member in members]
            )
            known = {"capture_facts": {str(number): sorted(standing) for number, standing in capture_facts.items()}}
            conversion_sets.set_rollback_facts(self.connection, conversion_set, known)
        if self.options.text_casts:
            execute(self.connection, create_text_casts(self.connection))

    def _report_old_sessions(self, conversion_set: ConversionSet) -> None:
        sessions = older_sessions(self.connection)
        if sessions:
            self._report(
                conversion_set,
                f"sessions that began before the swap: {sessions}. Their prepared statements that return a changed "
                "column, or compare one with a parameter, fail until the session ends. Restart these connections of "
                "the application.",
            )

    def _postpone(
        self,
        conversion_set: ConversionSet,
        members: Sequence[RunTable],
        problem: str,
        missed: TryAgain | None = None,
        *,
        waits_for: SwapWait = SwapWait.ATTEMPT,
        subject: str = "",
    ) -> None:
        known = missed if isinstance(missed, AttemptMissed) else None
        tried = conversion_sets.postpone_set(
            self.connection,
            conversion_set,
            delay_s=pause_s(conversion_set.attempts, missed, self.random_source),
            waits_for=waits_for,
            subject=subject,
            problem=problem,
            chance=known.chance if known else None,
            longest_wait_ms=known.application_wait_ms if known else 0.0,
        )
        waited = f"; {longest_wait(known.application_wait_ms)}" if known and known.application_wait_ms else ""
        self._report(conversion_set, f"attempt {tried} missed: {problem}{waited}")
        if tried >= self.options.cutover_attempts:
            self._give_up(
                conversion_set,
                members,
                f"the cutover was attempted {counted(tried, 'time')}; {problem}. Wait for these sessions to end, or "
                "terminate them, then `replank retry` and run again.",
            )

    def _give_up(self, conversion_set: ConversionSet, members: Sequence[RunTable], problem: str) -> None:
        """Leave the live tables as they were, autovacuum included, and call the operator."""
        self._autovacuum(self._reread(conversion_set), members).give_back()
        conversion_sets.block_set(self.connection, conversion_set, problem)

    def _reread(self, conversion_set: ConversionSet) -> ConversionSet:
        """As the ledger has it now: an attempt has changed it since the turn began."""
        return conversion_sets.read_set(self.connection, conversion_set.run_id, conversion_set.set_no)

    def _report(self, conversion_set: ConversionSet, message: str) -> None:
        log.info("cutover", set=conversion_set.set_no, message=message)
        self.add_event(conversion_set.run_id, "cutover", f"set {conversion_set.set_no}", message)


def _refuse_gone(connection: Connection, specs: Sequence[TableSpec]) -> None:
    there = still_there(connection, specs)
    gone = [spec.full_name for spec in specs if spec not in there]
    if gone:
        raise NeedsOperator(
            f"{', '.join(gone)}: dropped or renamed during the run. Nothing was swapped. Undo that and `replank "
            "retry`, or `replank rollback`, correct the plan, and run again."
        )
