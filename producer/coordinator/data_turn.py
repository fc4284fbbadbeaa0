"""A turn of the data migration: every table, set and cache goes one step further, if its barrier is open."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
import structlog

from producer.coordinator.facts import Facts
from producer.coordinator.idle import call_operator, end_if_done
from producer.coordinator.pauses import Pauses
from producer.stages.cache_stages import Caching
from producer.stages.cutover import CuttingOver
from producer.stages.keeping_proof import KeepingProof
from producer.stages.pooler_reconnect import reconnect_poolers
from producer.stages.shared_snapshots import SnapshotKeeper
from producer.stages.table_stages import Stages
from replank.errors import OutcomeUnknown
from replank.values.states import SwapWait, TableState
from sql.ledger.runs.runs import Run
from sql.ledger.tables import cache_step, conversion_sets
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection
from sql.swap.event_triggers import refused_by
from sql.swap.lock_moment import Traffic

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class DataTurn:
    """One of them. `traffic` is what the turns before have seen of the transactions that are in the way."""

    facts: Facts
    snapshots: SnapshotKeeper
    random_source: random.Random
    traffic: Mapping[str, Traffic]

    @property
    def _connection(self) -> Connection:
        return self.facts.connection

    @property
    def _run(self) -> Run:
        return self.facts.run

    @cached_property
    def _pauses(self) -> Pauses:
        return Pauses(connection=self._connection, run_id=self._run.run_id, held_back=self.facts.held_back)

    def _shared(self, step: str) -> dict[str, Any]:
        """What all stages work with."""
        return {
            "connection": self._connection,
            "step": step,
            "options": self._run.plan.options,
            "snapshots": self.snapshots,
            "random_source": self.random_source,
        }

    def advance(self) -> bool:
        """True if anything moved.

        What an event trigger refuses anywhere in it stops the run, with its name; whatever else fails is raised.
        """
        try:
            return self._advance_all()
        except psycopg.OperationalError:
            raise
        except psycopg.DatabaseError as error:
            refused = "" if self._connection.closed else refused_by(self._connection, error)
            if not refused:
                raise
            said = (error.diag.message_primary or str(error)).rstrip(".")
            call_operator(self.facts, f"The server refused a statement: {said}.{refused}")
            return True

    def _advance_all(self) -> bool:
        facts, carrier = self.facts, self._run.plan.steps.carrier
        stages = Stages(**self._shared(carrier), present=facts.tables, sets=facts.sets)
        moved = False
        for table in self._pauses.unpaused(facts.tables):
            moved = stages.advance(table, facts.unfinished.get(table.table_no)) or moved
        keeping = KeepingProof(**self._shared(carrier), run_id=self._run.run_id)
        present, unproved = keeping.check(facts.tables, self._pauses.unpaused(facts.tables))
        moved = self._cut_over(keeping, present) or unproved or moved
        reconnect_poolers(self._connection, self._run, actor="coordinator")
        moved = self._rebuild_caches(present) or moved
        if not moved:
            end_if_done(facts, present, self._pauses)
        return moved

    def _cut_over(self, keeping: KeepingProof, present: Sequence[RunTable]) -> bool:
        cutting = CuttingOver(
            **self._shared(self._run.plan.steps.carrier),
            keeping=keeping,
            present=present,
            window=lambda: self.facts.window,
            has_closed=self.facts.has_closed,
            traffic=self.traffic,
        )
        for conversion_set in self.facts.sets:
            members = [table for table in present if table.set_no == conversion_set.set_no]
            pauses = self._pauses.pauses_of_set(members)
            if pauses:
                cutting.wait_for_pauses(conversion_set, members, pauses)
                members = self._pauses.unpaused(members)
            elif conversion_set.waits_for is SwapWait.PAUSE:
                conversion_sets.hold_set(self._connection, conversion_set, None, subject="", problem="")
            held = self._run.hold_cutover or bool(pauses)
            try:
                if cutting.advance(conversion_set, members, self.facts.unfinished, held=held):
                    return True
            except OutcomeUnknown as error:
                # The ledger knows: the next turn reads whether the swap committed.
                log.info("outcome unknown; resolving it from the ledger", reason=str(error))
                return True
        return False

    def _rebuild_caches(self, present: Sequence[RunTable]) -> bool:
        """The barrier: nothing of a cache is touched before every table of the run is done."""
        if not self._run.plan.caches or not all(table.state is TableState.DONE for table in present):
            return False
        cache_step.start(self._connection, self._run.run_id)
        caching = Caching(
            **self._shared(cache_step.STEP),
            plan=self._run.plan,
            rebuilt=frozenset(table.spec.full_name for table in present if table.spec.method == "rebuild"),
            held=self._run.hold_cutover,
            window=lambda: self.facts.window,
            has_closed=self.facts.has_closed,
            traffic=self.traffic,
        )
        everyone = self.facts.caches
        unfinished = self.facts.unfinished_of_caches
        # Each of them has its turn, whatever the others do.
        unpaused = self._pauses.unpaused_caches(everyone)
        return any([caching.advance(cache, everyone, unfinished.get(cache.cache_no)) for cache in unpaused])
