"""The stages of a cache, when every table is done: what opens each barrier, and what happens then.

Every method reads the ledger and does at most one step, like `producer.stages.table_stages`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import psycopg
import structlog

from monitoring.status.gates import CutoverWindow
from producer.planning.cache_resolution import cache_spec, measure, swapped_names
from producer.planning.conversion_sets import key_documents
from producer.stages.attempt_pause import pause_s
from producer.stages.cache_order import may_begin
from producer.stages.context import StageContext
from producer.stages.cutover_windows import Window, anytime
from replank.errors import NeedsOperator, OutcomeUnknown, TryAgain, WrongUse
from replank.plan.plan import Plan
from replank.plan.tables.cache_plan import MaterializedViewPlan, PrewarmPlan, TableCachePlan
from replank.values.cache_spec import CacheSpec
from replank.values.states import CacheState, SwapWait
from replank.wording import counted
from sql.caches.built_contents import autovacuum_of, remove_built
from sql.caches.cache_marks import count_marks, everything_marked, install_marks, remove_marks
from sql.caches.cache_swap import swap_cache
from sql.caches.cache_table import ranges
from sql.caches.mark_continuity import DefinitionChanged, read_mark_facts, refuse_gaps
from sql.catalogue import catalogue, fingerprints
from sql.ledger.jobs.job_reports import Unfinished
from sql.ledger.runs.events import add_event
from sql.ledger.tables import cache_jobs, caches
from sql.ledger.tables.caches import Cache
from sql.next_table import builder, indexes
from sql.session.connection import apply_settings
from sql.session.passing_errors import LOCK_MISSED, PASSING
from sql.session.statements import execute
from sql.swap.event_triggers import refuse_added_objects, refused_by
from sql.swap.lock_moment import Traffic
from sql.swap.swap_under_lock import CutoverLimits

log = structlog.get_logger()

MOST_GENERATIONS = 8
"""How often the contents are built again because another session changes the table's definition."""

IN_THE_MAKING = (CacheState.BUILDING, CacheState.INDEXING, CacheState.READY)


@dataclass(frozen=True, kw_only=True)
class Caching(StageContext):
    """Advances the caches of one run."""

    plan: Plan
    rebuilt: frozenset[str]
    """Tables that this run has swapped: a cache among them finds its name taken among the past tables."""
    held: bool
    """The swap of cache tables waits for `replank cutover`."""
    window: Window = anytime
    has_closed: Callable[[], bool] = lambda: False
    """Whether the window has closed since it was asked for."""
    traffic: Mapping[str, Traffic] = field(default_factory=lambda: defaultdict(Traffic))
    """By cache: what has been seen of the transactions that are in the way."""

    def advance(self, cache: Cache, everyone: Sequence[Cache], unfinished: Unfinished | None) -> bool:
        """Do the cache's next step if its barrier is open. True if anything was done."""
        if cache.state is CacheState.DONE or cache.blocked or not cache.due or not may_begin(cache, everyone):
            return False
        try:
            if unfinished is not None:
                return self._after_failure(cache, unfinished)
            return self._steps()[cache.state](cache)
        except DefinitionChanged as error:
            self._build_again(cache, str(error))
        except TryAgain as error:
            self._postpone(cache, str(error), error)
        except OutcomeUnknown as error:
            log.info("outcome unknown; resolving it from the ledger", reason=str(error))
        except (NeedsOperator, WrongUse) as error:
            self._block(cache, str(error))
        except psycopg.Error as error:
            if self.connection.closed:
                raise
            said = error.diag.message_primary or str(error)
            if isinstance(error, PASSING):
                self._postpone(cache, f"waiting for a lock: {said}")
            else:
                refused = refused_by(self.connection, error)
                words = f"{said.rstrip('.')}.{refused}" if refused else said
                self._block(cache, f"cache {cache.name} ({cache.state}): {words}")
        return True

    def _steps(self) -> Mapping[CacheState, Callable[[Cache], bool]]:
        return {
            CacheState.PLANNED: self._start,
            CacheState.BUILDING: self._after_building,
            CacheState.INDEXING: self._after_indexes,
            CacheState.READY: self._swap,
            CacheState.SWAPPED: self._finish,
        }

    def _start(self, cache: Cache) -> bool:
        """The first jobs; a cache table's next contents and marks commit with them."""
        match cache.spec:
            case TableCachePlan():
                return self._start_table(cache, cache.spec)
            case MaterializedViewPlan():
                details: list[Mapping[str, object]] = [{"what": "refresh"}]
            case PrewarmPlan():
                named = cache.spec.named_tables or swapped_names(self.plan)
                details = [{"what": "prewarm", "schema": schema, "name": name} for schema, name in named]
            case _:
                details = [{"what": "redis"}]
        with self.connection.transaction():
            cache_jobs.add(self.connection, cache, details)
            caches.move_cache(self.connection, cache, CacheState.BUILDING)
        return True

    def _start_table(self, cache: Cache, plan: TableCachePlan) -> bool:
        rebuilt = plan.full_name in self.rebuilt
        spec = cache_spec(self.connection, plan, run_id=cache.run_id, cache_no=cache.cache_no, rebuilt=rebuilt)
        keys = key_documents({spec.oid}, catalogue.read_foreign_keys(self.connection, [spec.oid]))
        with self.connection.transaction():
            apply_settings(self.connection, {"lock_timeout": f"{self.options.lock_timeout_ms}ms"}, local=True)
            execute(self.connection, builder.create_next(self.connection, spec))
            install_marks(self.connection, spec)
            refuse_added_objects(self.connection, spec)
            caches.set_built(self.connection, cache, spec, keys)
            caches.set_mark_facts(self.connection, cache, read_mark_facts(self.connection, spec))
            cache_jobs.add(self.connection, cache, [{"what": "cut"}] if spec.chunks > 1 else ranges([]))
            caches.move_cache(self.connection, cache, CacheState.BUILDING)
        return True

    def _after_building(self, cache: Cache) -> bool:
        if cache.built is None:
            self._done(cache)
            return True
        spec = self._unchanged(cache)
        reported = cache_jobs.results(self.connection, cache)
        with self.connection.transaction():
            if [job.detail["what"] for job in reported] == ["cut"]:
                cache_jobs.add(self.connection, cache, ranges(reported[0].result["bounds"]))
                return True
            found = indexes.read_indexes(self.connection, spec.relations)
            cache_jobs.add(self.connection, cache, [{"what": "index", "index": asdict(index)} for index in found])
            caches.move_cache(self.connection, cache, CacheState.INDEXING)
        return True

    def _after_indexes(self, cache: Cache) -> bool:
        spec = self._unchanged(cache)
        found = indexes.read_indexes(self.connection, spec.relations)
        with self.connection.transaction():
            execute(self.connection, indexes.attach_constraints(self.connection, spec, found))
            cache_jobs.add(self.connection, cache, [{"what": "vacuum"}])
            caches.move_cache(self.connection, cache, CacheState.READY)
        return True

    def _swap(self, cache: Cache) -> bool:
        if self.held:
            return False
        window = self.window()
        if window is not None and window.reason:
            self._wait_for_window(cache, window)
            return False
        spec = self._unchanged(cache)
        if count_marks(self.connection, spec) > self.options.cutover_log_rows or everything_marked(
            self.connection, spec
        ):
            cache_jobs.add(self.connection, cache, [{"what": "drain"}])
            return True
        with autovacuum_of(self.connection, cache, spec).off(stays_off=True) as before:
            times = swap_cache(
                self.connection,
                spec,
                cache.foreign_keys,
                CutoverLimits.of(self.options),
                autovacuum_before=before,
                traffic=self.traffic[f"cache {cache.cache_no}"],
                mark_facts=cache.mark_facts,
                write_ledger=lambda: self._write_ledger(cache),
            )
        caches.set_lock_times(self.connection, cache, wait_ms=times.wait_ms, hold_ms=times.hold_ms)
        self._report(cache, f"swapped; {times}")
        return True

    def _wait_for_window(self, cache: Cache, window: CutoverWindow) -> None:
        """Said once. It may take days, so autovacuum comes back if an attempt has switched it off."""
        if (cache.waits_for, cache.waits_subject) == (SwapWait.WINDOW, window.name):
            return
        if cache.built is not None:
            autovacuum_of(self.connection, cache, cache.built).give_back()
        problem = f"cache {cache.name}: {window.reason}"
        caches.hold_cache(self.connection, cache, SwapWait.WINDOW, subject=window.name, problem=problem)
        self._report(cache, f"its swap is waiting: {window.reason}")

    def _write_ledger(self, cache: Cache) -> None:
        """In the swap's own transaction: its word, and the jobs that come after it."""
        if self.has_closed():
            raise TryAgain("the cutover window closed during the attempt")
        if not caches.set_swapped(self.connection, cache):
            raise OutcomeUnknown("this cache has been swapped already, or the run is being rolled back")
        keys = [key for key in cache.foreign_keys if key["validated"]]
        details = [
            {"what": "validate", "schema": k["schema"], "table": k["table_name"], "name": k["name"]} for k in keys
        ]
        cache_jobs.add(self.connection, cache, details)

    def _finish(self, cache: Cache) -> bool:
        assert cache.built is not None
        with self.connection.transaction():
            apply_settings(self.connection, {"lock_timeout": f"{self.options.lock_timeout_ms}ms"}, local=True)
            remove_marks(self.connection, cache.built)
        self._done(cache)
        return True

    def _done(self, cache: Cache) -> None:
        caches.set_measured_after(self.connection, cache, measure(self.connection, self.plan, cache.spec))
        caches.move_cache(self.connection, cache, CacheState.DONE)
        self._report(cache, "rebuilt")

    def _unchanged(self, cache: Cache) -> CacheSpec:
        """What is being built. Raises DefinitionChanged if the table is no longer what that was made from."""
        assert cache.built is not None
        present = fingerprints.shape(self.connection, cache.built.oid)
        if present != cache.built.shape:
            raise DefinitionChanged(fingerprints.changed(cache.built.shape, present))
        refuse_gaps(self.connection, cache.built, cache.mark_facts)
        return cache.built

    def _after_failure(self, cache: Cache, unfinished: Unfinished) -> bool:
        """Failed jobs need the operator, unless their table's definition has changed since."""
        if unfinished.failed and not unfinished.running and cache.built is not None and cache.state in IN_THE_MAKING:
            self._unchanged(cache)
        return False

    def _build_again(self, cache: Cache, changed: str) -> None:
        """Another migration changed the table: the contents come from a query, so nothing is lost with them."""
        assert cache.built is not None
        if cache.generation >= MOST_GENERATIONS:
            self._block(
                cache, f"cache {cache.name}: its definition was changed {counted(cache.generation, 'time')} ({changed})"
            )
            return
        try:
            with self.connection.transaction():
                remove_built(self.connection, cache, lock_timeout_ms=self.options.lock_timeout_ms)
                caches.next_generation(self.connection, cache)
                caches.move_cache(self.connection, cache, CacheState.PLANNED)
        except LOCK_MISSED as error:
            self._postpone(cache, f"its definition was changed; waiting for a lock: {error.diag.message_primary}")
            return
        self._report(cache, f"its definition or its trigger was changed ({changed}); its next contents are built again")

    def _postpone(self, cache: Cache, problem: str, missed: TryAgain | None = None) -> None:
        wait = pause_s(cache.attempts, missed, self.random_source)
        tried = caches.postpone_cache(self.connection, cache, delay_s=wait, problem=f"cache {cache.name}: {problem}")
        ready = cache.state is CacheState.READY
        if tried >= (self.options.cutover_attempts if ready else self.options.capture_attempts):
            self._block(
                cache,
                f"cache {cache.name} ({cache.state}) was attempted {counted(tried, 'time')}; {problem}. Wait for "
                "these sessions to end, or terminate them, then `replank retry` and run again.",
            )

    def _block(self, cache: Cache, problem: str) -> None:
        """Leave the live table as it was, autovacuum included, and call the operator."""
        present = caches.read_cache(self.connection, cache.run_id, cache.cache_no)
        if present.built is not None and present.state is CacheState.READY:
            autovacuum_of(self.connection, present, present.built).give_back()
        caches.block_cache(self.connection, cache, problem)

    def _report(self, cache: Cache, message: str) -> None:
        log.info("cache", cache=cache.name, message=message)
        add_event(self.connection, cache.run_id, actor="coordinator", kind="cache", subject=cache.name, message=message)
