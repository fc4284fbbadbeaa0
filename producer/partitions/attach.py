"""A new partition takes its place, under locks that no statement of the application is caught between."""

from __future__ import annotations

import time
from dataclasses import dataclass

from replank.values.table_spec import Relation
from sql.partitions import partition_proof, partition_upkeep
from sql.partitions.partition_upkeep import MOVED_AT_ONCE, Partition, RangeColumn
from sql.session.connection import Connection, apply_settings


class RowsCameInError(Exception):
    """Rows of the new range came into the DEFAULT partition since they were counted: count again, lock otherwise."""


@dataclass(frozen=True, kw_only=True)
class NewPartition:
    """One that is missing. `like` is dressed as it shall be, `limits` are texts of the column's type, half-open.

    `rest` is the DEFAULT partition; `moving` says that rows of it lie in the range, `proved` that none can.
    """

    root: Relation
    made: Relation
    column: RangeColumn
    limits: tuple[str, str]
    bound: str
    like: Partition | None
    rest: Partition | None
    moving: bool
    proved: bool
    lock_timeout_ms: int
    hold_budget_ms: int

    def attach(self, connection: Connection) -> int:
        """Everything in one transaction. Returns how many rows came out of the DEFAULT partition.

        Raises RowsCameInError, or a psycopg.DatabaseError; then nothing has changed.
        """
        with connection.transaction():
            partition_upkeep.short_locks(
                connection,
                lock_timeout_ms=self.lock_timeout_ms,
                statement_timeout_ms=self.hold_budget_ms,
                local=True,
            )
            if self.rest is not None:
                partition_upkeep.lock_table(connection, self.root, readers_too=self.moving)
            held_since = time.monotonic()
            partition_upkeep.create_partition(connection, self.root, self.made, like=self.like)
            partition_proof.prove_inside(connection, self.made, self.column, self.limits)
            moved = 0 if self.rest is None or self.proved else self._empty(connection, self.rest, held_since)
            self._within_budget(connection, held_since)
            partition_upkeep.attach_partition(connection, self.root, self.made, self.bound)
            partition_proof.withdraw(connection, self.made)
            if self.rest is not None and self.proved:
                partition_proof.withdraw(connection, self.rest)
        return moved

    def _empty(self, connection: Connection, rest: Partition, held_since: float) -> int:
        """Move what the DEFAULT partition holds of the range. From its lock on, what is counted is all there is."""
        partition_upkeep.lock_partition(connection, rest)
        self._within_budget(connection, held_since)
        found = partition_upkeep.rows_of_range(connection, rest, self.column, self.limits)
        if not found:
            return 0
        if not self.moving or found > MOVED_AT_ONCE:
            raise RowsCameInError
        self._within_budget(connection, held_since)
        return partition_upkeep.move_rows(connection, rest, self.made, self.column, self.limits)

    def _within_budget(self, connection: Connection, held_since: float) -> None:
        """The next statement may take what is left of the time that others may be made to wait."""
        left_ms = self.hold_budget_ms - (time.monotonic() - held_since) * 1000
        apply_settings(connection, {"statement_timeout": f"{max(1, round(left_ms))}ms"}, local=True)
