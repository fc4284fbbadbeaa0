"""Correcting the caches of a run under way: a query that fails must not hold the run open for ever.

Tables that have been swapped cannot be planned again, caches can: whatever of them is not rebuilt yet is
taken away and planned again as the corrected plan says, or not at all if it is no longer in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from producer.check.definitions.caches import audit_caches
from producer.check.definitions.foreign_code import audit_foreign_code
from producer.check.findings import Finding
from producer.check.trial.cache_trial import try_caches
from producer.planning.cache_resolution import measure, refuse_unknown
from producer.planning.foreign_code import ForeignCodeRefused
from producer.planning.prepared_run import PreparedRun, prepare_run
from producer.planning.resolution import PlanFile
from producer.waiting.leader import stop_leading, try_to_lead
from replank.errors import NeedsOperator, TryAgain, WrongUse
from replank.plan.plan import Plan
from replank.plan.tables.cache_plan import CachePlan
from replank.values.states import CacheState, RunState, TableState
from sql.caches.built_contents import remove_built
from sql.ledger.runs import runs
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, tables
from sql.ledger.tables.caches import Cache
from sql.session.connection import Connection
from sql.session.passing_errors import LOCK_MISSED

REBUILT = (CacheState.SWAPPED, CacheState.DONE)


def differs_in_caches(run: Run, plan: Plan) -> bool:
    """Whether the plan says of everything but caches what the run's plan says; its gates may be others too."""
    without = {"caches": (), "gates": None}
    return run.plan.model_copy(update=without) == plan.model_copy(update=without)


def correct_caches(connection: Connection, run: Run, file: PlanFile) -> Run:
    """Take over the caches of a corrected plan.

    Raises WrongUse where it is too early or would undo what is rebuilt, NeedsOperator where they cannot be rebuilt so,
    TryAgain where another session has locked what has to be removed. Then nothing is changed.
    """
    if not all(table.state is TableState.DONE for table in tables.read_tables(connection, run.run_id)):
        raise WrongUse(
            f"Run {run.run_id} is open, and its plan has other caches. Caches can be changed when every table is done: "
            "continue with the plan as it was."
        )
    if run.state is RunState.ROLLING_BACK:
        raise WrongUse(f"Run {run.run_id} is being rolled back. `replank rollback` again to continue the rollback.")
    correction = _correction(connection, run, file)
    _refuse(finding for finding in audit_caches(connection, correction.prepared) if finding.code != "cache_nothing")
    if not try_to_lead(connection):
        raise WrongUse("A coordinator is running on this database. Stop it, then run again to change the caches.")
    try:
        _take_over(connection, run, correction)
    except LOCK_MISSED as error:
        said = error.diag.message_primary
        raise TryAgain(
            f"A source of the caches is locked by another session ({said}). Nothing was changed. Run again."
        ) from None
    finally:
        stop_leading(connection)
    return runs.read_run(connection, run.run_id)


@dataclass(frozen=True, kw_only=True)
class _Correction:
    """What becomes of the caches of a run: `kept` are rebuilt already, `dropped` and `added` are the others."""

    plan: Plan
    prepared: PreparedRun
    """The plan with nothing but the caches that are added."""
    kept: tuple[Cache, ...]
    dropped: tuple[Cache, ...]
    added: tuple[CachePlan, ...]


def _correction(connection: Connection, run: Run, file: PlanFile) -> _Correction:
    """Raises WrongUse if the plan does not say of a rebuilt cache what it said, or names what is not there."""
    present = caches.read_caches(connection, run.run_id)
    kept = tuple(cache for cache in present if cache.state in REBUILT)
    changed = [cache.name for cache in kept if cache.spec not in file.plan.caches]
    if changed:
        raise WrongUse(f"{', '.join(changed)}: rebuilt already by this run. Leave it in the plan as it was.")
    refuse_unknown(connection, file)
    names = {cache.name for cache in kept}
    added = tuple(cache for cache in file.plan.caches if cache.full_name not in names)
    return _Correction(
        plan=file.plan,
        prepared=_prepared(connection, file, added),
        kept=kept,
        dropped=tuple(cache for cache in present if cache not in kept),
        added=added,
    )


def _prepared(connection: Connection, file: PlanFile, added: Iterable[CachePlan]) -> PreparedRun:
    """The tables are what they were to become: so the caches are prepared as those of a plan without tables."""
    # Without their `after`, which may name one that is kept.
    planned = tuple(cache.model_copy(update={"after": ()}) for cache in added)
    of_caches = replace(file, plan=file.plan.model_copy(update={"tables": (), "caches": planned}))
    try:
        return prepare_run(connection, of_caches, scripts_have_run=True)
    except ForeignCodeRefused as refused:
        _refuse(audit_foreign_code(refused.code, trusted=False))
        raise


def _refuse(found: Iterable[Finding]) -> None:
    lines = [f"  {finding.code} {finding.words}" for finding in found if finding.blocks]
    if lines:
        raise NeedsOperator("The changed caches were refused, and nothing was changed:\n" + "\n".join(lines))


def _take_over(connection: Connection, run: Run, correction: _Correction) -> None:
    plan = correction.plan
    measured = [measure(connection, plan, cache) for cache in correction.added]
    with connection.transaction():
        for cache in correction.dropped:
            remove_built(connection, cache, lock_timeout_ms=plan.options.lock_timeout_ms)
            caches.drop_cache(connection, cache)
        # Only now, because their names were taken; what does not work takes all of this back.
        _refuse(try_caches(connection, correction.prepared))
        first = 1 + max((cache.cache_no for cache in (*correction.dropped, *correction.kept)), default=0)
        for number, (planned, hits) in enumerate(zip(correction.added, measured, strict=True), start=first):
            caches.add_cache(connection, run.run_id, number, planned, hits)
        runs.set_plan(connection, run.run_id, plan)
        runs.set_run_state(connection, run.run_id, RunState.RUNNING, "")
        words = f"caches planned again: {', '.join(cache.full_name for cache in correction.added) or 'none'}"
        add_event(connection, run.run_id, actor="operator", kind="correction", message=words)
