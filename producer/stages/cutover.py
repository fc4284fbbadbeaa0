"""When a conversion set cuts over, and how its tables are kept up until then."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL

from producer.stages.cutover_windows import Window, anytime
from producer.stages.swap_attempt import Swapping
from replank.values.states import SwapWait, TableState
from sql.ledger.jobs import job_reports
from sql.ledger.runs.restraints import Restraint
from sql.ledger.tables import quarantines, tables
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.rows.change_log import log_table
from sql.session.connection import value

DRAIN_FROM_KEYS = 200
DRAIN_EVERY_S = 10.0
"""While a table waits for its set, its log is drained from this length on, and what is in it so often: a row that does
not convert is found while there is time, not at the cutover."""

CHECK_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class CuttingOver(Swapping):
    """Cuts sets over, one at a time, while `window` says that they may."""

    present: Sequence[RunTable]
    """All tables of the run."""
    window: Window = anytime

    def advance(
        self, conversion_set: ConversionSet, members: Sequence[RunTable], busy: Container[int], *, held: bool
    ) -> bool:
        """Cut over if every member is ready and idle; keep the logs short as long as that is not so.

        True if anything was done.
        """
        if conversion_set.swapped_at is not None or conversion_set.blocked:
            return False
        if held or any(m.state is not TableState.READY or m.blocked for m in members):
            return self._keep_up(members, busy)
        window = self.window()
        if window is not None and window.reason:
            self.wait(conversion_set, members, SwapWait.WINDOW, subject=window.name, reason=window.reason)
            return self._keep_up(members, busy)
        if self.keeping.stop_verifying(members):
            return True
        if not conversion_set.due or any(m.table_no in busy for m in members):
            # No further drain jobs now: among many tables one would always be busy.
            return False
        self.attempt(conversion_set, members)
        return True

    def wait_for_pauses(
        self, conversion_set: ConversionSet, members: Sequence[RunTable], pauses: Sequence[Restraint]
    ) -> None:
        """Some of its tables are paused."""
        since = ", ".join(pause.since.isoformat() for pause in pauses)
        words = "; ".join(f"{pause.words} (`{pause.freed_by}`)" for pause in pauses)
        self.wait(conversion_set, members, SwapWait.PAUSE, subject=since, reason=words)

    def _keep_up(self, members: Sequence[RunTable], busy: Container[int]) -> bool:
        """Tables that wait for their set are drained now and then; at once where rows may be corrected now."""
        drained, any_quarantined = False, self._any_quarantined(members)
        if all(member.state is TableState.READY and not member.blocked for member in members):
            self.keeping.verify_again([member for member in members if member.table_no not in busy], self.present)
        for member in members:
            if member.state is not TableState.READY or not member.due or member.blocked:
                continue
            if member.table_no in busy and not self.keeping.is_only_compared(member):
                continue
            count = value(self.connection, SQL("SELECT count(*) FROM {}").format(log_table(member.spec)))
            if count >= DRAIN_FROM_KEYS or (count and self._is_time(member, any_quarantined)):
                self.add_drain(member, compare=True)
                drained = True
            tables.postpone_table(self.connection, member.spec, delay_s=CHECK_EVERY_S, problem="")
        return drained

    def _is_time(self, member: RunTable, any_quarantined: Container[int]) -> bool:
        """For a short log."""
        return member.table_no in any_quarantined or not job_reports.drained_lately(
            self.connection, member.spec, seconds=DRAIN_EVERY_S
        )

    def _any_quarantined(self, members: Sequence[RunTable]) -> Container[int]:
        """Tables with rows in quarantine."""
        if not any(member.spec.quarantines for member in members):
            return ()
        found = quarantines.quarantined_rows(self.connection, members[0].run_id)
        return {table_no for table_no, count in found.items() if count}
