"""What a pause means for a turn of the coordinator: which tables continue, and whether the operator is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from replank.values.steps import DATA_PHASE
from sql.ledger.jobs.job_reports import Unfinished
from sql.ledger.runs import restraints
from sql.ledger.runs.restraints import Restraint
from sql.ledger.tables.caches import Cache
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """The restraints of one turn. Throttles are the dispatcher's and the claim's business; here only pauses count."""

    connection: Connection
    run_id: int
    held_back: Sequence[Restraint]

    def pause_of_table(self, table: RunTable) -> Restraint | None:
        return restraints.pause_of(self.held_back, phase=DATA_PHASE, table_no=table.table_no)

    def _pause_of_cache(self, cache: Cache) -> Restraint | None:
        return restraints.pause_of(self.held_back, phase=DATA_PHASE, cache_no=cache.cache_no)

    def unpaused(self, tables: Sequence[RunTable]) -> list[RunTable]:
        return [table for table in tables if self.pause_of_table(table) is None]

    def unpaused_caches(self, caches: Sequence[Cache]) -> list[Cache]:
        return [cache for cache in caches if self._pause_of_cache(cache) is None]

    def pauses_of_set(self, members: Sequence[RunTable]) -> list[Restraint]:
        """Why a set does not cut over: members of it are paused. Empty where none is."""
        return list(dict.fromkeys(pause for table in members if (pause := self.pause_of_table(table)) is not None))

    @cached_property
    def _busy_tables(self) -> set[int]:
        return restraints.busy_tables(self.connection, self.run_id) if self.held_back else set()

    @cached_property
    def _busy_caches(self) -> set[int]:
        return restraints.busy_caches(self.connection, self.run_id) if self.held_back else set()

    def paused_as_blocked(self, tables: Sequence[RunTable]) -> list[RunTable]:
        """Paused ones cannot continue by themselves: as if blocked."""
        return [t if self.pause_of_table(t) is None else replace(t, blocked=True) for t in tables]

    def unfinished_without_paused(self, unfinished: Mapping[int, Unfinished]) -> dict[int, Unfinished]:
        """Of a paused table only what workers work on now is running; what waits does not count."""
        paused = self._paused("table_no")
        return {
            number: replace(of, running=0) if number in paused and number not in self._busy_tables else of
            for number, of in unfinished.items()
        }

    def caches_without_paused(self, unfinished: Mapping[int, Unfinished]) -> dict[int, Unfinished]:
        paused = self._paused("cache_no")
        return {
            number: replace(of, running=0) if number in paused and number not in self._busy_caches else of
            for number, of in unfinished.items()
        }

    def _paused(self, what: str) -> set[int]:
        return {getattr(r.place, what) for r in self.held_back if r.kind == "pause"} - {None}

    @property
    def breaker_pauses(self) -> list[str]:
        """What the breaker has paused, for the operator."""
        return [r.words for r in self.held_back if r.kind == "pause" and r.cause == "breaker"]

    @property
    def paused_by_operator(self) -> bool:
        """The operator has paused something, and knows that it waits."""
        return any(r.kind == "pause" and r.cause != "breaker" for r in self.held_back)
