"""Keeping a partitioned table's partitions: new ones from now on, those that ended long ago away. Again is no error."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg import errors

from producer.partitions.attach import NewPartition, RowsCameInError
from producer.partitions.attach_proof import proved_outside
from producer.planning.partition_layout import Kind, edge, partition_name, period_bound, period_limits, periods
from producer.planning.repartition import kind_of, refuse_unfit
from replank.backoff import SHORT_LOCK
from replank.errors import NeedsOperator
from replank.plan.plan import OptionsPlan, Plan
from replank.plan.tables.partition_plan import PartitionPlan
from replank.plan.tables.periods import before, name_of
from replank.plan.tables.table_plan import TablePlan
from replank.values.table_spec import Relation
from replank.wording import counted
from sql.catalogue import catalogue
from sql.ledger.runs import runs
from sql.ledger.tables import tables
from sql.partitions import partition_upkeep
from sql.partitions.partition_upkeep import MOVED_AT_ONCE, WAIT_FOR_READERS_MS, Partition, RangeColumn
from sql.session.connection import Connection
from sql.session.passing_errors import LOCK_MISSED

ATTEMPTS = 20
AGAIN: tuple[type[Exception], ...] = (*LOCK_MISSED, RowsCameInError)


@dataclass(kw_only=True)
class Kept:
    """What was done for one table, or would be; `problems` need the operator."""

    table: str
    created: list[str] = field(default_factory=list)
    detached: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    rows_moved: int = 0
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def keep_partitions(
    connection: Connection, plan: Plan, *, dry_run: bool, say: Callable[[str], None], with_checks: bool = False
) -> list[Kept]:
    """Every table of the plan that is partitioned by time, here as there; the others are passed over, with a word.

    `with_checks` proves first that the DEFAULT partition holds no row of a new range: no session waits while it is
    scanned, but rows of that range are refused meanwhile.
    Raises NeedsOperator if a run is open on one of them, WrongUse if plan and column do not go together.
    """
    live = {(table.schema, table.name): table for table in catalogue.read_tables(connection)}
    busy = _in_open_run(connection)
    kept: list[Kept] = []
    for _, planned in plan.wanted_tables:
        partition = planned.partition
        if partition is None or partition.every is None:
            continue
        found = live.get((planned.table_schema, planned.name))
        column = None if found is None else partition_upkeep.range_column(connection, found.oid)
        if found is None or column is None or column.name != partition.column:
            say(f"{planned.full_name}: not partitioned by range of {partition.column} here; nothing was done")
            continue
        if found.oid in busy:
            raise NeedsOperator(
                f"{planned.full_name} is part of an open run, so its partitions cannot change now. Complete the run, "
                "or use `replank rollback` first."
            )
        kind = kind_of(connection, column.type)
        refuse_unfit(f"{planned.full_name}.{column.name}", column.type, partition, kind)
        upkeep = Upkeep(
            connection=connection,
            planned=planned,
            plan=partition,
            root=Relation(oid=found.oid, schema=found.schema, name=found.name),
            column=column,
            kind=kind,
            options=plan.options,
            dry_run=dry_run,
            with_checks=with_checks,
        )
        kept.append(upkeep.keep())
    return kept


def _in_open_run(connection: Connection) -> set[int]:
    run = runs.open_run(connection)
    return set() if run is None else {table.spec.oid for table in tables.read_tables(connection, run.run_id)}


@dataclass(kw_only=True)
class Upkeep:
    """One table's."""

    connection: Connection
    planned: TablePlan
    plan: PartitionPlan
    root: Relation
    column: RangeColumn
    kind: Kind
    options: OptionsPlan
    dry_run: bool
    with_checks: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    random_source: random.Random = field(default_factory=random.Random)

    def keep(self) -> Kept:
        kept = Kept(table=self.planned.full_name)
        assert self.plan.every is not None
        for first in periods(self.plan, self.plan.every, self.kind, lowest=None, now=self.now()):
            self._guarded(kept, f"partition from {first}", lambda first=first: self._ahead(kept, first))  # type: ignore[misc]
        for old in self._ended():
            self._guarded(kept, old.full_name, lambda old=old: self._away(kept, old))  # type: ignore[misc]
        return kept

    def _present(self, first: date, cut: str | None = None) -> list[Partition]:
        limits = period_limits(self.plan, self.kind, first)
        return partition_upkeep.partitions(self.connection, self.root.oid, self.column, limits=limits, cut=cut)

    def _guarded(self, kept: Kept, what: str, work: Callable[[], None]) -> None:
        """Short locks, asked for again and again; what is in the way becomes a problem in words."""
        for attempt in range(ATTEMPTS):
            try:
                work()
                return
            except AGAIN:
                self.sleep(SHORT_LOCK.wait_s(attempt + 1, self.random_source))
            except errors.QueryCanceled:
                kept.problems.append(
                    f"{what}: it took longer than {self.options.cutover_hold_budget_ms} ms under the lock and was "
                    "rolled back. If the DEFAULT partition is large, --with-checks scans it beforehand."
                )
                return
            except psycopg.OperationalError:
                raise
            except psycopg.DatabaseError as error:
                detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
                kept.problems.append(f"{what}: {error.diag.message_primary or error}{detail}")
                return
        kept.problems.append(f"{what}: could not lock the table in {ATTEMPTS} attempts: other sessions hold it")

    def _ahead(self, kept: Kept, first: date) -> None:
        """See that there is a partition for the period that begins at `first`."""
        assert self.plan.every is not None
        present = self._present(first)
        if any(one.covers for one in present):
            return
        made = replace(self.root, oid=0, name=partition_name(self.root.name, name_of(first, self.plan.every)))
        crossing = [one.full_name for one in present if one.meets]
        if crossing:
            kept.problems.append(f"{made.full_name}: {', '.join(crossing)} holds a part of its range")
        elif partition_upkeep.taken(self.connection, made):
            kept.problems.append(
                f"{made.full_name}: another relation, which is not a partition for this range, has this name"
            )
        else:
            self._create(kept, made, first, present)

    def _create(self, kept: Kept, made: Relation, first: date, present: list[Partition]) -> None:
        limits = period_limits(self.plan, self.kind, first)
        rest = next((one for one in present if one.is_default), None)
        waiting = 0 if rest is None else partition_upkeep.rows_of_range(self.connection, rest, self.column, limits)
        if rest is not None and waiting:
            held = self._why_not_moved(rest, waiting)
            if held:
                kept.problems.append(f"{made.full_name}: {held}")
                return
        moved = 0
        if not self.dry_run:
            with proved_outside(
                self.connection,
                rest if self.with_checks and not waiting else None,
                self.column,
                limits,
                short_locks=self._short_locks,
                patiently=lambda what, work: self._guarded(kept, what, work),
            ) as proved:
                moved = NewPartition(
                    root=self.root,
                    made=made,
                    column=self.column,
                    limits=limits,
                    bound=period_bound(self.plan, self.kind, first),
                    like=partition_upkeep.newest(present),
                    rest=rest,
                    moving=waiting > 0,
                    proved=proved,
                    lock_timeout_ms=self.options.lock_timeout_ms,
                    hold_budget_ms=self.options.cutover_hold_budget_ms,
                ).attach(self.connection)
        kept.created.append(made.full_name)
        kept.rows_moved += waiting if self.dry_run else moved

    def _why_not_moved(self, rest: Partition, waiting: int) -> str:
        """Why the rows that the DEFAULT partition holds of a new range cannot move by themselves; empty if they can."""
        if waiting > MOVED_AT_ONCE:
            return (
                f"{rest.full_name} holds more than {MOVED_AT_ONCE} rows of its range. Repartition the table with "
                "`replank run`, or move them by hand."
            )
        noticing = partition_upkeep.notices_moves(self.connection, self.root, rest)
        if noticing and all(one.reverse_capture for one in noticing):
            return (
                f"{rest.full_name} holds {counted(waiting, 'row')} of its range, and the reverse capture of an "
                "unfinished run would record moving them as deleting them. Run `replank finish`, then the same "
                "command again."
            )
        if noticing:
            return (
                f"{rest.full_name} holds {counted(waiting, 'row')} of its range, and moving them would be a DELETE "
                f"for {', '.join(one.what for one in noticing)}. Repartition the table with `replank run`."
            )
        return ""

    def _short_locks(self) -> None:
        partition_upkeep.short_locks(
            self.connection,
            lock_timeout_ms=self.options.lock_timeout_ms,
            statement_timeout_ms=self.options.cutover_hold_budget_ms,
            local=True,
        )

    def _ended(self) -> list[Partition]:
        """Partitions that are entirely older than the plan keeps them."""
        kept = self.plan.kept
        if kept is None or self.plan.every is None:
            return []
        count, unit = kept
        today = self.now().astimezone(self.plan.zone).date()
        cut = edge(self.plan, self.kind, before(today, unit, count))
        first = periods(self.plan, self.plan.every, self.kind, lowest=None, now=self.now())[0]
        return [one for one in self._present(first, cut) if one.ended]

    def _away(self, kept: Kept, old: Partition) -> None:
        if not self.dry_run:
            self._detach(old)
            if self.plan.expired == "drop":
                with self.connection.transaction():
                    self._short_locks()
                    partition_upkeep.drop_detached(self.connection, old)
        (kept.dropped if self.plan.expired == "drop" else kept.detached).append(old.full_name)

    def _detach(self, old: Partition) -> None:
        first = periods(self.plan, self.plan.every or "day", self.kind, lowest=None, now=self.now())[0]
        present = self._present(first)
        # An earlier attempt may have come half the way, or all of it.
        now = next((one for one in present if one.oid == old.oid), None)
        if now is None:
            return
        if any(one.is_default for one in present):
            with self.connection.transaction():
                self._short_locks()
                partition_upkeep.detach_partition(self.connection, self.root, now, concurrently=False)
            return
        partition_upkeep.short_locks(
            self.connection, lock_timeout_ms=WAIT_FOR_READERS_MS, statement_timeout_ms=0, local=False
        )
        partition_upkeep.detach_partition(self.connection, self.root, now, concurrently=True)
